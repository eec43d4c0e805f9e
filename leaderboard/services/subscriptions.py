"""Who hears of what: e-mail addresses that confirmed it, the mail of accounts, and webhooks of users."""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from leaderboard.models import Benchmark, Channel, Delivery, Hears, Subscription, User
from leaderboard.outbound import check_url
from leaderboard.services.notifications import Event, account_mail, tell
from protocols.errors import RequestError

# What one address is sent at most before it confirms anything, so that nobody can be flooded.
CONFIRMATIONS_PER_DAY = 3
MAX_WEBHOOKS = 20


def email_subscribe(*, address: str, benchmark: Benchmark | None) -> None:
    """Ask an address whether it wants to hear of ``benchmark`` (or of all), unless it does already.

    It answers nothing, so it tells nobody whether an address is known. Raises
    ``RequestError('invalid')`` for what is no address.
    """
    address = normal_address(address)
    with transaction.atomic():
        subscription, _ = Subscription.objects.get_or_create(
            channel=Channel.EMAIL,
            address=address,
            benchmark=benchmark,
            owner=None,
            defaults={"token": secrets.token_urlsafe(32)},
        )
        if subscription.confirmed_at is not None:
            return
        recent = Delivery.objects.filter(
            subscription__address=address,
            subscription__channel=Channel.EMAIL,
            event=Event.CONFIRM,
            created_at__gt=timezone.now() - timedelta(days=1),
        )
        if recent.count() < CONFIRMATIONS_PER_DAY:
            tell(subscription, Event.CONFIRM)


def normal_address(address: str) -> str:
    """An e-mail address without spaces around it, its domain in lower case."""
    address = address.strip()
    try:
        validate_email(address)
    except ValidationError as error:
        raise RequestError("invalid", "This is not an e-mail address.") from error
    name, _, domain = address.rpartition("@")
    return f"{name}@{domain.lower()}"


def subscription_confirm(subscription: Subscription) -> None:
    """The holder of the token wants it. Doing so again changes nothing."""
    Subscription.objects.filter(pk=subscription.pk, confirmed_at__isnull=True).update(
        confirmed_at=timezone.now()
    )


def subscription_end(subscription: Subscription) -> None:
    """Forget a subscriber, and what was on its way to it. The mail of an account is switched off."""
    if subscription.is_accounts_mail:
        Subscription.objects.filter(pk=subscription.pk).update(hears=Hears.NOTHING)
    else:
        subscription.delete()


def account_mail_switch(user: User, *, on: bool) -> None:
    """Whether a user hears by e-mail of what they entered."""
    mail = account_mail(user)
    Subscription.objects.filter(pk=mail.pk).update(hears=Hears.ENTRIES if on else Hears.NOTHING)


def webhook_create(
    *, owner: User, url: str, benchmark: Benchmark | None, hears: str = Hears.ALL
) -> Subscription:
    """A webhook with a new secret. ``hears``: of the board, of the entries of its owner's teams, or of all.

    Raises ``RequestError``: ``webhook_target`` for an address that is never sent to,
    ``webhook_limit`` when the owner has too many, ``conflict`` for one that is there already.
    """
    check_url(url)
    with transaction.atomic():
        # Two requests of one user take turns, so the limit holds.
        User.objects.select_for_update().get(pk=owner.pk)
        own = owner.subscriptions.filter(channel=Channel.WEBHOOK)
        if own.filter(address=url, benchmark=benchmark).exists():
            raise RequestError("conflict", "You have this webhook already.")
        if own.count() >= MAX_WEBHOOKS:
            raise RequestError("webhook_limit", f"You have {MAX_WEBHOOKS} webhooks.")
        return Subscription.objects.create(
            channel=Channel.WEBHOOK,
            owner=owner,
            address=url,
            benchmark=benchmark,
            hears=hears,
            token=secrets.token_urlsafe(32),
            secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            confirmed_at=timezone.now(),
        )


def webhook_ping(subscription: Subscription) -> Delivery:
    """Queue a test event for one webhook, unless one is on its way."""
    waiting = subscription.deliveries.filter(event=Event.PING, next_attempt_at__isnull=False).first()
    return waiting or tell(subscription, Event.PING)
