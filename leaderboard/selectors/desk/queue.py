"""What waits, what could begin and what runs, by the resource that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import BooleanField, Count, ExpressionWrapper, Min, Q
from django.utils import timezone

from leaderboard.models import Batch, Edition, Step, Submission
from leaderboard.selectors.desk.workers import WorkerRow, WorkerState
from protocols.contract import Phase
from protocols.states import LIVE_STEP, BatchState, StepState, SubmissionState


@dataclass(frozen=True)
class QueueRow:
    """Live work of one kind.

    ``n_waiting`` waits for other work, ``n_ready`` could begin now; of these, ``n_resting`` rest
    after a fault of the platform. ``ready_since`` is when the oldest became ready. ``n_workers``
    are alive and have what it takes.
    """

    what: str
    gpus: int
    n_waiting: int
    n_ready: int
    n_resting: int
    n_running: int
    ready_since: datetime | None
    n_workers: int

    @property
    def resource(self) -> str:
        return {0: "CPU", 1: "1 GPU"}.get(self.gpus, f"{self.gpus} GPUs")

    @property
    def is_stuck(self) -> bool:
        return self.n_ready > 0 and self.n_workers == 0


@dataclass(frozen=True)
class BudgetRow:
    """An edition whose training is bounded, while some of it is left to do."""

    edition: Edition
    n_steps: int

    @property
    def share(self) -> float:
        budget = self.edition.budget_s or 0
        return min(1.0, self.edition.spent_s / budget) if budget else 1.0

    @property
    def is_spent(self) -> bool:
        return self.share >= 1.0


@dataclass(frozen=True)
class Queue:
    rows: tuple[QueueRow, ...]
    budgets: tuple[BudgetRow, ...]

    @property
    def n_ready(self) -> int:
        return sum(row.n_ready for row in self.rows)

    @property
    def n_running(self) -> int:
        return sum(row.n_running for row in self.rows)

    @property
    def n_waiting(self) -> int:
        return sum(row.n_waiting for row in self.rows)

    @property
    def ready_since(self) -> datetime | None:
        return min((row.ready_since for row in self.rows if row.ready_since), default=None)


def queue(workers: list[WorkerRow]) -> Queue:
    """Checks first, as workers take them, then steps by resource and phase. Four queries."""
    alive = [row.n_gpus for row in workers if row.state == WorkerState.ALIVE]
    rows = [
        _checks("check of an archive", Submission, SubmissionState.CHECKING, len(alive)),
        _checks("trial run", Submission, SubmissionState.TRIAL, len(alive)),
        _checks("check of a batch", Batch, BatchState.CHECKING, len(alive)),
    ]
    ready = Q(state=StepState.READY)
    counts = (
        Step.objects.filter(state__in=LIVE_STEP)
        .annotate(is_contact=ExpressionWrapper(Q(unit__isnull=False), output_field=BooleanField()))
        .order_by("-is_contact", "gpus", "-phase")
        .values("is_contact", "gpus", "phase")
        .annotate(
            waiting=Count("id", filter=Q(state=StepState.WAITING)),
            ready=Count("id", filter=ready),
            resting=Count("id", filter=ready & Q(not_before__gt=timezone.now())),
            running=Count("id", filter=Q(state=StepState.RUNNING)),
            since=Min("ready_at", filter=ready),
        )
    )
    for row in counts:
        rows.append(
            QueueRow(
                what="first contact" if row["is_contact"] else row["phase"],
                gpus=row["gpus"],
                n_waiting=row["waiting"],
                n_ready=row["ready"],
                n_resting=row["resting"],
                n_running=row["running"],
                ready_since=row["since"],
                n_workers=sum(n >= row["gpus"] for n in alive),
            )
        )
    return Queue(tuple(row for row in rows if row.n_waiting + row.n_ready + row.n_running), _budgets())


def _checks(what: str, model: type[Submission] | type[Batch], state: str, n_workers: int) -> QueueRow:
    free = Q(lease_token__isnull=True)
    found = model._default_manager.filter(state=state).aggregate(
        ready=Count("pk", filter=free),
        resting=Count("pk", filter=free & Q(not_before__gt=timezone.now())),
        running=Count("pk", filter=~free),
        since=Min("created_at", filter=free),
    )
    return QueueRow(what, 0, 0, found["ready"], found["resting"], found["running"], found["since"], n_workers)


def _budgets() -> tuple[BudgetRow, ...]:
    left = Q(runs__steps__phase=Phase.TRAIN, runs__steps__state__in=LIVE_STEP)
    editions = (
        Edition.objects.filter(budget_s__isnull=False, opened_at__isnull=False)
        .select_related("benchmark")
        .annotate(n_left=Count("runs__steps", filter=left))
        .filter(n_left__gt=0)
    )
    rows = [BudgetRow(edition, edition.n_left) for edition in editions]
    return tuple(sorted(rows, key=lambda row: -row.share))
