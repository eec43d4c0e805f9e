"""Who is how far ahead in the queue."""

from __future__ import annotations

from collections.abc import Iterable

from leaderboard.models import Step
from protocols.states import StepState


def queue_positions(steps: Iterable[Step]) -> dict[int, int]:
    """The place in the queue, from 1, of each of ``steps`` that is ready. One query, or none."""
    ready = {step.pk for step in steps if step.state == StepState.READY}
    if not ready:
        return {}
    queue = Step.objects.filter(state=StepState.READY).order_by("ready_at", "id").values_list("pk", flat=True)
    return {pk: place for place, pk in enumerate(queue, start=1) if pk in ready}
