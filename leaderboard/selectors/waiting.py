"""The order of the queue, and who is how far ahead in it."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from leaderboard.models import Step
from protocols.states import StepState


def ready_queue() -> QuerySet[Step]:
    """Ready steps in the order in which workers take them: first contacts of arrivals, then the oldest."""
    return (
        Step.objects.filter(state=StepState.READY)
        .annotate(is_arrival=Q(unit__isnull=False))
        .order_by("-is_arrival", "ready_at", "id")
    )


def queue_positions(steps: Iterable[Step]) -> dict[int, int]:
    """The place in the queue, from 1, of each of ``steps`` that is ready. One query, or none."""
    ready = {step.pk for step in steps if step.state == StepState.READY}
    if not ready:
        return {}
    places = enumerate(ready_queue().values_list("pk", flat=True), start=1)
    return {pk: place for place, pk in places if pk in ready}
