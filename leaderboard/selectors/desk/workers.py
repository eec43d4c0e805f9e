"""The workers that are there, that are in trouble and that were lost, and what each does now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from leaderboard.models import Batch, Step, Submission, WorkerBeat
from protocols.states import CHECKED, BatchState, StepState

# A beat may be late when the machine is busy; three in a row are not.
MISSED_BEATS = 3


class WorkerState(StrEnum):
    """``TROUBLED``: it is there and can't take work, and says why. ``LOST``: silent without a goodbye."""

    ALIVE = "alive"
    TROUBLED = "in trouble"
    LOST = "lost"
    STOPPED = "stopped"


@dataclass(frozen=True)
class WorkerRow:
    """``step`` or ``check`` (of an archive or of a batch) is what the worker holds at this moment."""

    beat: WorkerBeat
    state: WorkerState
    step: Step | None = None
    check: Submission | Batch | None = None

    @property
    def checks_batch(self) -> bool:
        return isinstance(self.check, Batch)

    @property
    def n_gpus(self) -> int:
        return len(self.beat.gpus)

    @property
    def is_there(self) -> bool:
        return self.state in (WorkerState.ALIVE, WorkerState.TROUBLED)


def worker_state(beat: WorkerBeat, now: datetime) -> WorkerState:
    if beat.stopped_at is not None:
        return WorkerState.STOPPED
    if now - beat.seen_at > timedelta(seconds=MISSED_BEATS * settings.HEARTBEAT_S):
        return WorkerState.LOST
    return WorkerState.TROUBLED if beat.problem else WorkerState.ALIVE


def worker_rows() -> list[WorkerRow]:
    """Every worker of the last week, those that need somebody first. Four queries."""
    now = timezone.now()
    beats = list(WorkerBeat.objects.all())
    names = [beat.name for beat in beats]
    steps = {
        step.leased_by: step
        for step in Step.objects.filter(state=StepState.RUNNING, leased_by__in=names)
        .select_related("run__submission", "unit__generator")
        .defer("log_tail")
    }
    checks: dict[str, Submission | Batch] = {
        submission.leased_by: submission
        for submission in Submission.objects.filter(
            state__in=CHECKED, lease_token__isnull=False, leased_by__in=names
        )
    }
    batches = Batch.objects.filter(state=BatchState.CHECKING, lease_token__isnull=False, leased_by__in=names)
    checks |= {batch.leased_by: batch for batch in batches.select_related("generator")}
    rows = [
        WorkerRow(beat, worker_state(beat, now), steps.get(beat.name), checks.get(beat.name))
        for beat in beats
    ]
    order = [WorkerState.LOST, WorkerState.TROUBLED, WorkerState.ALIVE, WorkerState.STOPPED]
    return sorted(rows, key=lambda row: order.index(row.state))
