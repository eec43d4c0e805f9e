"""A user's webhooks and what was sent to them."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import QuerySet

from leaderboard.models import Benchmark, Channel, Delivery, Hears, Subscription, User

LOG_LENGTH = 50
MAILS = 10


@dataclass(frozen=True)
class WebhookRow:
    webhook: Subscription
    last: Delivery | None


def benchmarks() -> QuerySet[Benchmark]:
    return Benchmark.objects.all()


def mail_address(user: User) -> str:
    """Where mail of a user's own entries may go, "" for nowhere.

    An address that was asked for and never confirmed may be somebody else's.
    """
    unconfirmed = EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=False)
    if settings.EMAIL_CONFIRMATION != "none" and unconfirmed.exists():
        return ""
    return user.email


def wants_mail(user: User) -> bool:
    """Whether mail of a user's own entries is on. It is until they switch it off."""
    return not user.subscriptions.filter(channel=Channel.EMAIL, hears=Hears.NOTHING).exists()


def own_mails(user: User) -> QuerySet[Delivery]:
    """What was sent to a user of their own entries, or is on its way, newest first."""
    return Delivery.objects.filter(subscription__owner=user, subscription__channel=Channel.EMAIL)[:MAILS]


def webhooks(user: User) -> QuerySet[Subscription]:
    """The user's own; nobody else sees them, for an address may hold a secret of its receiver."""
    return Subscription.objects.filter(owner=user, channel=Channel.WEBHOOK).select_related("benchmark")


def webhooks_with_last(user: User) -> list[WebhookRow]:
    """Each webhook with its newest delivery (two queries)."""
    newest = (
        Delivery.objects.filter(subscription__owner=user)
        .order_by("subscription_id", "-created_at", "id")
        .distinct("subscription_id")
    )
    last = {delivery.subscription_id: delivery for delivery in newest}
    return [WebhookRow(webhook, last.get(webhook.pk)) for webhook in webhooks(user)]


def deliveries(user: User, webhook: Subscription) -> QuerySet[Delivery]:
    return Delivery.objects.filter(subscription=webhook, subscription__owner=user)
