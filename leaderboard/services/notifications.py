"""Readers hear of what happens: events become rows with what they tell of, and are sent later.

:func:`notify` only writes rows, so it belongs into the transaction of what it tells of:
both are there or neither is. :func:`deliver_due` is the sweeper's: it sends what is due,
at least once, and tries again after growing pauses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpcore
import httpx
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from leaderboard import outbound
from leaderboard.models import (
    Benchmark,
    Channel,
    Delivery,
    Generator,
    Hears,
    Membership,
    Submission,
    Subscription,
    Team,
    User,
)
from leaderboard.selectors.subscriptions import mail_address

log = structlog.get_logger(__name__)


class Event(StrEnum):
    """What readers hear of.

    ``submission.*`` and ``run.*`` are for the members of one team, ``ping`` and
    ``subscription.confirm`` for one subscriber alone.
    """

    GENERATOR_PUBLISHED = "generator.published"
    FIRST_CONTACTS_COMPLETE = "generator.first_contacts_complete"
    GENERATOR_WITHDRAWN = "generator.withdrawn"
    EDITION_OPENED = "edition.opened"
    SUBMISSION_ACCEPTED = "submission.accepted"
    SUBMISSION_REJECTED = "submission.rejected"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    FIRST_CONTACT = "submission.first_contact"
    PING = "ping"
    CONFIRM = "subscription.confirm"


# What only the team hears that entered a detector.
OWN = (
    Event.SUBMISSION_ACCEPTED,
    Event.SUBMISSION_REJECTED,
    Event.RUN_SUCCEEDED,
    Event.RUN_FAILED,
    Event.FIRST_CONTACT,
)

# Names of events that have a key are made from it, under this namespace.
NAMESPACE = uuid.UUID("6f0f8b3e-0f8e-4d6c-9f5e-6a3c0f5d1b52")

# The pauses after the first failures double from the first to the longest: twelve attempts in two days.
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=12)
MAX_ATTEMPTS = 12
# A claim that is not followed by a result (the process died) is open again after this time.
CLAIM = timedelta(minutes=2)
KEPT = timedelta(days=30)
# An address that nobody confirms is forgotten.
UNCONFIRMED_KEPT = timedelta(days=2)

FAILURES = (
    outbound.TargetError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    # What a mail server or a library says to an address or a header that it can't take.
    ValueError,
)


@dataclass(frozen=True)
class Delivered:
    """What one round did."""

    sent: int = 0
    failed: int = 0
    deleted: int = 0


def site_url(route: str, *args: object) -> str:
    """The address of a page as the outside world has it."""
    return f"{settings.SITE_URL.rstrip('/')}{reverse(route, args=args)}"


def generator_payload(generator: Generator) -> dict[str, Any]:
    """What every event about a generator tells of it."""
    return {
        "generator": {
            "corpus": generator.corpus.slug,
            "slug": generator.slug,
            "name": generator.name,
            "family": generator.family,
            "release_date": generator.release_date.isoformat(),
            "url": site_url("generator", generator.corpus.slug, generator.slug),
        }
    }


def notify(
    event: Event,
    benchmark: Benchmark,
    payload: Mapping[str, Any],
    *,
    key: str = "",
    happened_at: datetime | None = None,
) -> int:
    """Queue an event for everyone who wants to hear of ``benchmark``. Returns for how many.

    ``payload`` is JSON. With a ``key`` (what happened, such as the generator's slug), telling
    of it again reaches nobody twice. Of what ``happened_at`` some time ago, only those hear
    who had asked for it by then.
    """
    event_id = uuid.uuid5(NAMESPACE, f"{event} {benchmark.slug} {key}") if key else uuid.uuid4()
    wanted = _listening(benchmark, Hears.BOARD)
    if happened_at is not None:
        wanted = wanted.filter(confirmed_at__lte=happened_at)
    return _queue(wanted, event_id, event, benchmark, payload)


def notify_team(event: Event, submission: Submission, payload: Mapping[str, Any], *, key: str) -> int:
    """Queue an event of a submission for its team: for the webhooks of the members who want to hear
    of entries, and for the mail of who entered it. Returns for how many.

    Telling of the same ``key`` again reaches nobody twice.
    """
    event_id = uuid.uuid5(NAMESPACE, f"{event} {submission.pk} {key}")
    to = Q(channel=Channel.WEBHOOK)
    # A worker may have had the submission in hand for hours.
    owner = User.objects.get(pk=submission.owner_id)
    if mail_address(owner):
        to |= Q(pk=account_mail(owner).pk)
    wanted = _listening(submission.benchmark, Hears.ENTRIES).filter(
        to, owner__memberships__team=submission.team_id
    )
    return _queue(wanted, event_id, event, submission.benchmark, payload, team=submission.team)


def account_mail(user: User) -> Subscription:
    """How a user hears by e-mail of what they entered: on, until they switch it off."""
    return Subscription.objects.get_or_create(
        channel=Channel.EMAIL,
        owner=user,
        address="",
        benchmark=None,
        defaults={
            "hears": Hears.ENTRIES,
            "token": secrets.token_urlsafe(32),
            "confirmed_at": timezone.now(),
        },
    )[0]


def _listening(benchmark: Benchmark, of: str) -> QuerySet[Subscription]:
    """Those who want to hear of a benchmark's board, or of entries on it."""
    return Subscription.objects.filter(
        Q(benchmark=benchmark) | Q(benchmark__isnull=True),
        confirmed_at__isnull=False,
        hears__in=(of, Hears.ALL),
    ).exclude(owner__is_active=False)


def _queue(
    wanted: QuerySet[Subscription],
    event_id: uuid.UUID,
    event: Event,
    benchmark: Benchmark,
    payload: Mapping[str, Any],
    *,
    team: Team | None = None,
) -> int:
    body = {"benchmark": {"slug": benchmark.slug, "name": benchmark.name}, **payload}
    now = timezone.now()
    rows = [
        Delivery(
            subscription=each, team=team, event_id=event_id, event=event, payload=body, next_attempt_at=now
        )
        for each in wanted
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def tell(subscription: Subscription, event: Event) -> Delivery:
    """Queue an event for one subscriber alone."""
    benchmark = subscription.benchmark
    about = {"slug": benchmark.slug, "name": benchmark.name} if benchmark else None
    return Delivery.objects.create(
        subscription=subscription,
        event_id=uuid.uuid4(),
        event=event,
        payload={"benchmark": about},
        next_attempt_at=timezone.now(),
    )


def deliver_due(*, budget_s: float = 2.0) -> Delivered:
    """Send what is due, until nothing is left or the time is spent; the last one may take longer.

    Any number of processes may do so at once. A delivery is claimed before it is sent and
    settled after it, so one whose process dies in between is sent again.
    """
    end = time.monotonic() + budget_s
    sent = failed = 0
    while time.monotonic() < end and (delivery := _claim()) is not None:
        if reason := _why_not(delivery):
            Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=None, last_error=reason)
            continue
        error, status = _attempt(delivery)
        _settle(delivery, error, status)
        sent, failed = sent + (not error), failed + bool(error)
    return Delivered(sent, failed, _forget())


def _claim() -> Delivery | None:
    """The delivery that has waited longest, put off for the time of a claim."""
    now = timezone.now()
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(next_attempt_at__lte=now)
            .select_related("subscription__benchmark", "subscription__owner")
            .order_by("next_attempt_at")
            .first()
        )
        if delivery is not None:
            delivery.attempts += 1
            delivery.last_attempt_at = now
            delivery.next_attempt_at = now + CLAIM
            delivery.save(update_fields=["attempts", "last_attempt_at", "next_attempt_at"])
        return delivery


def _why_not(delivery: Delivery) -> str:
    """Why what was queued is not to be sent any more; "" when it is. Things change while it waits."""
    subscription = delivery.subscription
    if subscription.is_accounts_mail and subscription.hears == Hears.NOTHING:
        return "The mail was switched off."
    if subscription.is_accounts_mail and not address_of(subscription):
        return "The account has no address that mail may go to."
    if (
        delivery.team_id is not None
        and not Membership.objects.filter(team=delivery.team_id, user=subscription.owner_id).exists()
    ):
        return "Its owner is no member of the team any more."
    return ""


def address_of(subscription: Subscription) -> str:
    """Where a subscriber's mail goes, "" for nowhere."""
    if not subscription.is_accounts_mail:
        return subscription.address
    assert subscription.owner is not None
    return mail_address(subscription.owner)


def _attempt(delivery: Delivery) -> tuple[str, int | None]:
    """Send once. What went wrong ("" for nothing), and the receiver's HTTP status."""
    try:
        if delivery.subscription.channel == Channel.EMAIL:
            email_of(delivery).send()
            return "", None
        answer = _post(delivery)
    except FAILURES as error:
        return f"{type(error).__name__}: {error}", None
    return ("" if answer.is_accepted else f"The receiver answered {answer.status}."), answer.status


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << (attempts - 1)))


def _settle(delivery: Delivery, error: str, status: int | None) -> None:
    """Write down how an attempt went, and when the next one is due."""
    now = timezone.now()
    fields: dict[str, Any] = {"last_error": error[:500].replace("\0", ""), "last_status": status}
    with transaction.atomic():
        if not error:
            fields |= {"delivered_at": now, "next_attempt_at": None}
        elif delivery.attempts >= MAX_ATTEMPTS:
            fields["next_attempt_at"] = None
            log.warning("delivery_given_up", delivery=str(delivery.pk), error=error)
        else:
            fields["next_attempt_at"] = now + pause_after(delivery.attempts)
            # What else waits for this receiver waits too, or a dead one would use up every round.
            Delivery.objects.filter(
                subscription=delivery.subscription_id, next_attempt_at__lt=fields["next_attempt_at"]
            ).exclude(pk=delivery.pk).update(next_attempt_at=fields["next_attempt_at"])
        Delivery.objects.filter(pk=delivery.pk).update(**fields)


def _forget() -> int:
    """Delete old deliveries and addresses that nobody confirmed."""
    now = timezone.now()
    old = Delivery.objects.filter(created_at__lt=now - KEPT, next_attempt_at__isnull=True)
    unconfirmed = Subscription.objects.filter(
        confirmed_at__isnull=True, created_at__lt=now - UNCONFIRMED_KEPT
    )
    return old.delete()[0] + unconfirmed.delete()[0]


def body_of(delivery: Delivery) -> bytes:
    """What a webhook gets: the same bytes at every attempt."""
    return json.dumps(
        {
            "id": str(delivery.event_id),
            "event": delivery.event,
            "at": delivery.created_at.isoformat(),
            **delivery.payload,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def signature(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """The signature of the Standard Webhooks specification, version 1.

    HMAC-SHA256 under the bytes that the secret's base64 stands for, over id, timestamp
    and body with dots between. Source: standardwebhooks.com, symmetric signatures.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _post(delivery: Delivery) -> outbound.Answer:
    body, timestamp = body_of(delivery), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Tidemark-Webhook/1",
        "Webhook-Id": str(delivery.pk),
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signature(delivery.subscription.secret, str(delivery.pk), timestamp, body),
    }
    return outbound.post(delivery.subscription.address, body, headers)


def email_of(delivery: Delivery) -> EmailMessage:
    """An event as plain text, with the way out in the header and in the last line."""
    subscription = delivery.subscription
    stop = site_url("unsubscribe", subscription.token)
    context = {
        "delivery": delivery,
        "event": delivery.event,
        "payload": delivery.payload,
        "benchmark": delivery.payload.get("benchmark"),
        "generator": delivery.payload.get("generator"),
        "submission": delivery.payload.get("submission"),
        "is_own": delivery.event in OWN,
        "averages": _averages(delivery.payload.get("scores", {})),
        "site": settings.SITE_URL,
        "confirm": site_url("subscription-confirm", subscription.token),
        "stop": stop,
    }
    subject = " ".join(render_to_string("notifications/subject.txt", context).split())
    headers = {"Message-ID": f"<{delivery.pk}@{_host()}>", "Auto-Submitted": "auto-generated"}
    if delivery.event != Event.CONFIRM:
        # One click, after RFC 8058.
        headers |= {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return EmailMessage(
        subject=subject[:200],
        body=render_to_string("notifications/email.txt", context).strip() + "\n",
        to=[address_of(subscription)],
        headers=headers,
    )


def _averages(scores: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The averages of a run that are there, by a name that a reader knows, the headline first."""
    names = {"next": "On the next window", "past": "On past windows", "whole": "On all of them"}
    return [(name, scores[period]) for period, name in names.items() if period in scores]


def _host() -> str:
    return httpx.URL(settings.SITE_URL).host or "localhost"
