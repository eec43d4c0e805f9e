"""What several models share."""

from __future__ import annotations

from enum import StrEnum

from django.db import models


def choices(enum: type[StrEnum]) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in enum]


def state_constraint(name: str, enum: type[StrEnum]) -> models.CheckConstraint:
    """A database constraint that admits only the states of ``enum``."""
    return models.CheckConstraint(name=name, condition=models.Q(state__in=[member.value for member in enum]))


class Leased(models.Model):
    """Work that one worker at a time may hold.

    ``lease_token`` is a fencing token: it comes from a database sequence, so a later
    claim always holds a larger one, and only its holder may write a result.
    """

    lease_token = models.BigIntegerField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    leased_by = models.CharField(max_length=200, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    # A failed attempt is not repeated before this time.
    not_before = models.DateTimeField(null=True, editable=False)
    progress = models.FloatField(default=0.0, help_text="Share done, 0 to 1.")
    activity = models.CharField(max_length=200, blank=True, help_text="What is being done now.")

    class Meta:
        abstract = True


class Faulty(models.Model):
    """Something that may end with an error of the catalogue (``protocols.errors``)."""

    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.TextField(blank=True)

    class Meta:
        abstract = True
