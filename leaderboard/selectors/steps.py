"""What steps cost and how far they are."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Avg, Count, FloatField, OuterRef, Q, Subquery, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from leaderboard.models import Run, Step, Submission
from protocols.states import StepState

# The part of a step's timings that the container itself took, in seconds.
CONTAINER = "container"


@dataclass(frozen=True)
class RunSteps:
    """``cost_s``: container seconds, ``None`` when no step has run. ``progress``: share done, 0 to 1.

    The cost is what the detector took with this seed so far: on the run's edition and on those
    before it, whose results are reused.
    """

    cost_s: float | None = None
    progress: float = 0.0
    n_done: int = 0
    n_steps: int = 0


def cost_of(submission: Submission) -> float | None:
    """Container seconds of all steps of a submission so far; ``None`` when none has run."""
    seconds = Sum(Cast(KeyTextTransform(CONTAINER, "timings"), FloatField()))
    cost: float | None = Step.objects.filter(run__submission=submission).aggregate(seconds=seconds)["seconds"]
    return cost


def steps_of_runs(run_ids: list[int]) -> dict[int, RunSteps]:
    """One query over the steps of these runs; a run without steps is absent."""
    earlier = Step.objects.filter(
        run__submission=OuterRef("submission"),
        run__seed=OuterRef("seed"),
        run__edition__number__lte=OuterRef("edition__number"),
    )
    seconds = Sum(Cast(KeyTextTransform(CONTAINER, "timings"), FloatField()))
    cost = earlier.order_by().values("run__submission").annotate(total=seconds).values("total")
    runs = Run.objects.filter(pk__in=run_ids).annotate(
        cost=Subquery(cost),
        share=Avg("steps__progress"),
        n_done=Count("steps", filter=Q(steps__state=StepState.SUCCEEDED)),
        n_steps=Count("steps"),
    )
    return {
        pk: RunSteps(cost, share or 0.0, n_done, n_steps)
        for pk, cost, share, n_done, n_steps in runs.values_list("pk", "cost", "share", "n_done", "n_steps")
        if n_steps
    }
