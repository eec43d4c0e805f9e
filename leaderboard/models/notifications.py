"""Readers who want to hear of arrivals, and what is on its way to them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from leaderboard.models.benchmarks import Benchmark


class Channel(models.TextChoices):
    EMAIL = "email"
    WEBHOOK = "webhook"


class Subscription(models.Model):
    """An e-mail address or a webhook that hears of one benchmark, or of all.

    An e-mail address belongs to no account: whoever holds ``token`` confirms it and ends it. A
    webhook belongs to its ``owner``; ``secret`` signs what is sent, so it is kept as it is
    and shown once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    benchmark = models.ForeignKey(
        Benchmark, null=True, blank=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    address = models.CharField(max_length=500, help_text="An e-mail address, or where to post.")
    token = models.CharField(max_length=64, unique=True, editable=False)
    secret = models.CharField(max_length=100, blank=True, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="webhook_has_an_owner_and_email_has_none",
                condition=models.Q(channel=Channel.EMAIL, owner__isnull=True, secret="")
                | (models.Q(channel=Channel.WEBHOOK, owner__isnull=False) & ~models.Q(secret="")),
            ),
            models.UniqueConstraint(
                fields=["channel", "address", "benchmark", "owner"],
                nulls_distinct=False,
                name="subscription_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.pk}"


class Delivery(models.Model):
    """One event on its way to one subscriber. The row is written with what it tells of, and sent later.

    It is sent at least once; ``id`` is the same at every attempt, so a receiver can tell.
    ``next_attempt_at`` is ``None`` once nothing is left to do: it was delivered, or given up.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
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
