"""The order of the queue, and who is how far ahead in it.

Teams take turns. A step's turn is the number of its team's steps that are running or come before
it; among steps of the same turn, the team goes first that was served longest ago. So one team's
hundred runs do not hold up another's first, and a team that is alone has every worker.
"""

from __future__ import annotations

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from leaderboard.models import Step, Submission
from protocols.states import StepState, SubmissionState


def in_turn(steps: QuerySet[Step]) -> QuerySet[Step]:
    """Ready steps in the order in which workers take them: first contacts of arrivals, then teams in turn."""
    running = (
        Step.objects.filter(state=StepState.RUNNING, run__submission__team=OuterRef("run__submission__team"))
        .order_by()
        .values("run__submission__team")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return steps.annotate(
        is_arrival=Q(unit__isnull=False),
        turn=Window(
            RowNumber(),
            partition_by=[F("run__submission__team"), F("is_arrival")],
            order_by=[F("ready_at").asc(), F("id").asc()],
        )
        + Coalesce(Subquery(running, output_field=IntegerField()), Value(0)),
    ).order_by(
        "-is_arrival", "turn", F("run__submission__team__served_at").asc(nulls_first=True), "ready_at", "id"
    )


def ready_queue() -> QuerySet[Step]:
    """All ready steps, in turn."""
    return in_turn(Step.objects.filter(state=StepState.READY))


def trials_in_turn() -> QuerySet[Submission]:
    """Submissions that wait for their trial, teams in turn: those count that are being tried."""
    trials = Submission.objects.filter(state=SubmissionState.TRIAL)
    held = (
        trials.filter(lease_token__isnull=False, team=OuterRef("team"))
        .order_by()
        .values("team")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return (
        trials.filter(lease_token__isnull=True)
        .annotate(
            turn=Window(RowNumber(), partition_by=[F("team")], order_by=[F("created_at").asc(), "id"])
            + Coalesce(Subquery(held, output_field=IntegerField()), Value(0))
        )
        .order_by("turn", F("team__served_at").asc(nulls_first=True), "created_at", "id")
    )
