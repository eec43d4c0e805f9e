"""Generators that were published lately, and how far the detectors' first contacts with them are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, OuterRef, Q, Subquery
from django.utils import timezone

from leaderboard.models import Batch, FirstContact, Unit
from protocols.states import LIVE_STEP, BatchState, StepState

SHOWN_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Arrival:
    """A generator on one benchmark. ``n_steps`` met it on arrival, ``n_contacts`` scores are final.

    There may be more contacts than steps: whoever is scored on the generator with all others is
    in contact too.
    """

    unit: Unit
    published_at: datetime | None
    n_steps: int
    n_done: int
    n_running: int
    n_ready: int
    n_failed: int
    n_cancelled: int
    n_contacts: int

    @property
    def n_left(self) -> int:
        return self.n_steps - self.n_done - self.n_failed - self.n_cancelled

    @property
    def is_final(self) -> bool:
        return self.n_left == 0

    @property
    def progress(self) -> float:
        return 1 - self.n_left / self.n_steps if self.n_steps else 1.0


def arrivals() -> list[Arrival]:
    """Generators published in the last 30 days, and older ones with steps left, newest first. One query."""
    published = (
        Batch.objects.filter(generator=OuterRef("generator"), state=BatchState.PUBLISHED)
        .values("generator")
        .annotate(last=Max("published_at"))
        .values("last")
    )
    contacts = (
        FirstContact.objects.filter(unit=OuterRef("pk"), submission__null_row="")
        .values("unit")
        .annotate(n=Count("pk"))
        .values("n")
    )
    units = (
        Unit.objects.select_related("benchmark", "generator__corpus")
        .annotate(
            published=Subquery(published),
            contacts=Subquery(contacts),
            n_steps=Count("steps"),
            n_live=Count("steps", filter=Q(steps__state__in=LIVE_STEP)),
            n_done=Count("steps", filter=Q(steps__state=StepState.SUCCEEDED)),
            n_running=Count("steps", filter=Q(steps__state=StepState.RUNNING)),
            n_ready=Count("steps", filter=Q(steps__state=StepState.READY)),
            n_failed=Count("steps", filter=Q(steps__state=StepState.FAILED)),
            n_cancelled=Count("steps", filter=Q(steps__state=StepState.CANCELLED)),
        )
        .filter(Q(n_live__gt=0) | Q(published__gte=timezone.now() - SHOWN_FOR))
        .order_by("-published", "generator__slug", "benchmark__slug", "-version")
    )
    return [
        Arrival(
            unit,
            unit.published,
            unit.n_steps,
            unit.n_done,
            unit.n_running,
            unit.n_ready,
            unit.n_failed,
            unit.n_cancelled,
            unit.contacts or 0,
        )
        for unit in units
    ]
