"""Who wants to hear of arrivals and of their own entries, and what is on its way to them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from leaderboard.models.accounts import Team
from leaderboard.models.benchmarks import Benchmark


class Channel(models.TextChoices):
    EMAIL = "email"
    WEBHOOK = "webhook"


class Hears(models.TextChoices):
    """What of: the board (arrivals and editions), the entries of one's teams, or both."""

    BOARD = "board"
    ENTRIES = "entries"
    ALL = "all"
    NOTHING = "nothing"


class Subscription(models.Model):
    """An e-mail address or a webhook that hears of one benchmark, or of all.

    There are three kinds. A reader's e-mail address belongs to no account: whoever holds ``token``
    confirms it and ends it. The mail of an account (``owner``, and no ``address``) goes to the address
    that the account has when it is sent, and tells of what its user entered, unless it was switched off.
    A webhook belongs to its ``owner``; ``secret`` signs what is sent, so it is kept as it is and shown
    once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    benchmark = models.ForeignKey(
        Benchmark, null=True, blank=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    address = models.CharField(
        max_length=500, blank=True, help_text="An e-mail address, or where to post; empty: the account's."
    )
    hears = models.CharField(max_length=10, choices=Hears.choices, default=Hears.BOARD)
    token = models.CharField(max_length=64, unique=True, editable=False)
    secret = models.CharField(max_length=100, blank=True, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="subscription_is_a_readers_an_accounts_or_a_webhook",
                condition=(
                    models.Q(channel=Channel.EMAIL, owner__isnull=True, secret="", hears=Hears.BOARD)
                    & ~models.Q(address="")
                )
                | models.Q(
                    channel=Channel.EMAIL,
                    owner__isnull=False,
                    secret="",
                    address="",
                    hears__in=[Hears.ENTRIES, Hears.NOTHING],
                )
                | (
                    models.Q(
                        channel=Channel.WEBHOOK,
                        owner__isnull=False,
                        hears__in=[Hears.BOARD, Hears.ENTRIES, Hears.ALL],
                    )
                    & ~models.Q(secret="")
                    & ~models.Q(address="")
                ),
            ),
            models.UniqueConstraint(
                fields=["channel", "address", "benchmark", "owner"],
                nulls_distinct=False,
                name="subscription_once",
            ),
        ]

    @property
    def is_accounts_mail(self) -> bool:
        return self.channel == Channel.EMAIL and self.owner_id is not None

    def __str__(self) -> str:
        return f"{self.channel} {self.pk}"


class Delivery(models.Model):
    """One event on its way to one subscriber. The row is written with what it tells of, and sent later.

    It is sent at least once; ``id`` is the same at every attempt, so a receiver can tell.
    ``next_attempt_at`` is ``None`` once nothing is left to do: it was delivered, or given up.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    team = models.ForeignKey(
        Team,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whose own news it is: nobody else is sent it; null: everybody's.",
    )
    event_id = models.UUIDField()
    event = models.CharField(max_length=60)
    payload = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True, help_text="The receiver's HTTP status.")
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["subscription", "event_id"], name="delivery_once")]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(next_attempt_at__isnull=False),
                name="delivery_queue",
            ),
            models.Index(fields=["created_at"], name="delivery_age"),
        ]

    @property
    def status(self) -> str:
        if self.delivered_at is not None:
            return "delivered"
        return "failed" if self.next_attempt_at is None else "pending"

    def __str__(self) -> str:
        return f"{self.event} to {self.subscription_id}"
