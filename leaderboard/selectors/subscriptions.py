"""A user's webhooks and what was sent to them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from leaderboard.models import Benchmark, Channel, Delivery, Subscription, User

LOG_LENGTH = 50


@dataclass(frozen=True)
class WebhookRow:
    webhook: Subscription
    last: Delivery | None


def benchmarks() -> QuerySet[Benchmark]:
    return Benchmark.objects.all()


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
