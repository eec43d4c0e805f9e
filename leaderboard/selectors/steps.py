"""What steps cost and how far they are."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Avg, Count, FloatField, Q, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from leaderboard.models import Step
from protocols.states import StepState

# The part of a step's timings that the container itself took, in seconds.
CONTAINER = "container"


@dataclass(frozen=True)
class RunSteps:
    """``cost_s``: container time; ``None`` when no step has run. ``progress``: share done, 0 to 1."""

    cost_s: float | None = None
    progress: float = 0.0
    n_done: int = 0
    n_steps: int = 0


def steps_of_runs(run_ids: list[int]) -> dict[int, RunSteps]:
    """One query over the steps of these runs; a run without steps is absent."""
    rows = (
        Step.objects.filter(run__in=run_ids)
        .order_by()
        .values("run_id")
        .annotate(
            cost=Sum(Cast(KeyTextTransform(CONTAINER, "timings"), FloatField())),
            share=Avg("progress"),
            done=Count("id", filter=Q(state=StepState.SUCCEEDED)),
            total=Count("id"),
        )
    )
    return {
        row["run_id"]: RunSteps(row["cost"], row["share"] or 0.0, row["done"], row["total"]) for row in rows
    }
