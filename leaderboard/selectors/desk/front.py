"""What needs a maintainer now, and the figures of the desk's parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from django.db.models import Count, F, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from leaderboard.models import Batch, Edition, Step, Submission
from leaderboard.selectors.desk.arrivals import Arrival, arrivals
from leaderboard.selectors.desk.cost import CONTAINER_S, HOUR_S, CostReport, cost_report
from leaderboard.selectors.desk.failures import PERIOD, Failures, failures
from leaderboard.selectors.desk.queue import Queue, queue
from leaderboard.selectors.desk.storage import Inventory, inventory
from leaderboard.selectors.desk.workers import WorkerRow, WorkerState, worker_rows
from leaderboard.selectors.steps import CONTAINER
from protocols.contract import Phase
from protocols.errors import Owner
from protocols.states import BatchState, SubmissionState


class Need(StrEnum):
    """Why something needs a maintainer, the most pressing first."""

    NOBODY_WORKS = "nobody works"
    STORAGE_FULL = "storage full"
    OBJECTS_MISSING = "objects missing"
    WORKER_LOST = "worker lost"
    WORKER_TROUBLED = "worker in trouble"
    PLATFORM_FAILURES = "platform failures"
    BUDGET_SPENT = "budget spent"
    EDITION_WAITS = "edition waits"
    BATCH_SEALED = "batch sealed"
    BATCH_REJECTED = "batch rejected"


@dataclass(frozen=True)
class Attention:
    """One thing to look at: what it is about, a sentence, and since when."""

    need: Need
    subject: str
    text: str
    at: datetime | None = None
    batch: Batch | None = None
    edition: Edition | None = None
    worker: WorkerRow | None = None


@dataclass(frozen=True)
class Front:
    attention: tuple[Attention, ...]
    arrivals: tuple[Arrival, ...]
    queue: Queue
    workers: tuple[WorkerRow, ...]
    failures: Failures
    inventory: Inventory
    cost: CostReport

    @property
    def asks(self) -> bool:
        """Whether the page has a field to fill in, which must not be loaded anew under somebody's hands."""
        return any(item.edition for item in self.attention)

    @property
    def n_pending(self) -> int:
        """Generators that some detector has not met yet."""
        return sum(not arrival.is_final for arrival in self.arrivals)

    @property
    def n_contacts_left(self) -> int:
        return sum(arrival.n_left for arrival in self.arrivals)

    @property
    def n_alive(self) -> int:
        return sum(row.state == WorkerState.ALIVE for row in self.workers)

    @property
    def n_busy(self) -> int:
        return sum(row.is_there and (row.step or row.check) is not None for row in self.workers)


def front() -> Front:
    """Everything on the front, in about two dozen queries however much there is."""
    workers = worker_rows()
    found = Front(
        (),
        tuple(arrivals()),
        queue(workers),
        tuple(workers),
        failures(),
        inventory(),
        cost_report(),
    )
    return replace(found, attention=tuple(attention(found)))


def attention(found: Front) -> list[Attention]:
    """What needs somebody, the most pressing first. Two queries."""
    needs = [*_machines(found), *_editions(found.queue), *_batches()]
    return sorted(needs, key=lambda item: list(Need).index(item.need))


def _machines(found: Front) -> Iterator[Attention]:
    for row in found.queue.rows:
        if row.is_stuck:
            text = f"{row.n_ready} could begin and no worker that is alive has what it takes."
            yield Attention(Need.NOBODY_WORKS, f"{row.what}, {row.resource}", text, row.ready_since)
    if found.inventory.is_full:
        text = f"The store's file system is {found.inventory.used_share:.0%} full."
        yield Attention(Need.STORAGE_FULL, "storage", text, found.inventory.at)
    if found.inventory.n_missing:
        text = f"{found.inventory.n_missing} objects that are needed are not in the store."
        yield Attention(Need.OBJECTS_MISSING, "storage", text, found.inventory.at)
    for worker in found.workers:
        if worker.state == WorkerState.LOST:
            text = "It fell silent without saying that it ends."
            yield Attention(Need.WORKER_LOST, worker.beat.name, text, worker.beat.seen_at, worker=worker)
        elif worker.state == WorkerState.TROUBLED:
            yield Attention(
                Need.WORKER_TROUBLED,
                worker.beat.name,
                worker.beat.problem,
                worker.beat.seen_at,
                worker=worker,
            )
    broken = [row for row in found.failures.rows if row.entry.owner == Owner.PLATFORM]
    if broken:
        n = found.failures.n_platform
        text = f"{n} ended in {PERIOD.days} days: {', '.join(row.entry.code for row in broken)}."
        last = max((row.last_at for row in broken if row.last_at), default=None)
        yield Attention(Need.PLATFORM_FAILURES, "platform", text, last)


def _editions(found: Queue) -> Iterator[Attention]:
    for budget in found.budgets:
        if budget.is_spent:
            text = f"Training has taken its budget; {budget.n_steps} training steps are left."
            yield Attention(Need.BUDGET_SPENT, str(budget.edition), text, edition=budget.edition)
    opened = Edition.objects.filter(benchmark=OuterRef("benchmark"), opened_at__isnull=False)
    waiting = (
        Edition.objects.filter(opened_at__isnull=True)
        .annotate(newest_open=Subquery(opened.order_by("-number").values("number")[:1]))
        .select_related("benchmark")
        .order_by("number")
    )
    # The newest contains the windows of those before it.
    newest: dict[int, Edition] = {
        edition.benchmark_id: edition
        for edition in waiting.filter(Q(newest_open__isnull=True) | Q(number__gt=F("newest_open")))
    }
    told = _training_ahead(list(newest))
    for edition in newest.values():
        text = f"A window is closed. Training on it begins when you approve. {told[edition.benchmark_id]}"
        yield Attention(Need.EDITION_WAITS, str(edition), text, edition.created_at, edition=edition)


def _training_ahead(benchmarks: list[int]) -> dict[int, str]:
    """A sentence for each benchmark to set a budget by: who would train, and what the last window took."""
    trainers = dict(
        Submission.objects.filter(
            benchmark__in=benchmarks, state=SubmissionState.ACCEPTED, phases__contains=[Phase.TRAIN.value]
        )
        .order_by()
        .values_list("benchmark")
        .annotate(Count("pk"))
    )
    taken = (
        Step.objects.filter(
            run__edition__benchmark__in=benchmarks, phase=Phase.TRAIN, timings__has_key=CONTAINER
        )
        .order_by("run__edition__number", "window")
        .values_list("run__edition__benchmark", "run__edition__number", "window")
        .annotate(taken_s=Sum(CONTAINER_S))
    )
    # The last row of a benchmark is the last window of its newest edition.
    last_s = {benchmark: seconds for benchmark, _, _, seconds in taken}
    told = {}
    for benchmark in benchmarks:
        n = trainers.get(benchmark, 0)
        told[benchmark] = f"{n} detector{'' if n == 1 else 's'} will train"
        if benchmark in last_s:
            told[benchmark] += f"; the last window took {last_s[benchmark] / HOUR_S:.1f} container hours"
        told[benchmark] += "."
    return told


def _batches() -> Iterator[Attention]:
    states = Q(state=BatchState.SEALED) | Q(
        state=BatchState.REJECTED, created_at__gte=timezone.now() - PERIOD
    )
    for batch in Batch.objects.filter(states).select_related("generator").order_by("-created_at"):
        if batch.state == BatchState.SEALED:
            text = (
                f"Checked, and not published: {batch.n_train} training and {batch.n_eval} evaluation images."
            )
            yield Attention(Need.BATCH_SEALED, batch.origin, text, batch.sealed_at, batch=batch)
        else:
            text = batch.error_detail or "It was turned down."
            yield Attention(Need.BATCH_REJECTED, batch.origin, text, batch.created_at, batch=batch)
