"""The figures of the desk, and that their price does not grow with what there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard.models import Batch, Event, FirstContact, Submission, WorkerBeat
from leaderboard.selectors.desk.actions import actions
from leaderboard.selectors.desk.arrivals import arrivals
from leaderboard.selectors.desk.cost import Cost, cost_report
from leaderboard.selectors.desk.failures import failures
from leaderboard.selectors.desk.front import Need, front
from leaderboard.selectors.desk.queue import queue
from leaderboard.selectors.desk.storage import references
from leaderboard.selectors.desk.workers import WorkerState, worker_rows
from leaderboard.services.audit import Verb, record
from protocols.contract import Phase
from protocols.errors import Owner
from protocols.states import BatchState, StepState, SubmissionState
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    EditionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
)

pytestmark = pytest.mark.django_db


def worker(name: str, *, ago_s: float = 0.0, **fields: Any) -> WorkerBeat:
    now = timezone.now()
    return WorkerBeat.objects.create(
        name=name, **{"started_at": now, "seen_at": now - timedelta(seconds=ago_s), **fields}
    )


def reject(row: Submission | Batch, at: datetime, code: str) -> None:
    kind = type(row).__name__.lower()
    event = Event.objects.create(**{kind: row}, old="checking", new="rejected")
    Event.objects.filter(pk=event.pk).update(at=at)
    type(row)._default_manager.filter(pk=row.pk).update(state="rejected", error_code=code)


def test_a_worker_is_lost_after_three_missed_beats(settings: LazySettings) -> None:
    settings.HEARTBEAT_S = 10.0
    worker("late", ago_s=29)
    worker("silent", ago_s=31)
    worker("ended", ago_s=999, stopped_at=timezone.now())
    worker("ill", problem="The engine does not answer.")
    worker("well")
    assert [(row.beat.name, row.state) for row in worker_rows()] == [
        ("silent", WorkerState.LOST),
        ("ill", WorkerState.TROUBLED),
        ("late", WorkerState.ALIVE),
        ("well", WorkerState.ALIVE),
        ("ended", WorkerState.STOPPED),
    ]


def test_a_worker_is_shown_with_what_it_holds() -> None:
    for name in ("stepping", "checking", "sorting", "idle"):
        worker(name)
    step = StepFactory(state=StepState.RUNNING, leased_by="stepping")
    submission = SubmissionFactory(
        state=SubmissionState.CHECKING, leased_by="checking", lease_token=1, draft=False
    )
    batch = BatchFactory(state=BatchState.CHECKING, leased_by="sorting", lease_token=2)
    # What it held before.
    StepFactory(state=StepState.SUCCEEDED, leased_by="idle")
    SubmissionFactory(state=SubmissionState.CHECKING, leased_by="idle", lease_token=None)
    held = {row.beat.name: row.step or row.check for row in worker_rows()}
    assert held == {"stepping": step, "checking": submission, "sorting": batch, "idle": None}


def test_the_queue_is_told_by_what_work_needs() -> None:
    worker("cpu")
    worker("gpu", gpus=["0", "1"])
    worker("gone", gpus=["0"] * 8, ago_s=9999)
    run = RunFactory()
    oldest = timezone.now() - timedelta(hours=3)
    StepFactory(run=run, phase=Phase.TRAIN, window=0, ready_at=oldest)
    StepFactory(run=run, phase=Phase.TRAIN, window=1, not_before=timezone.now() + timedelta(minutes=1))
    StepFactory(run=run, phase=Phase.TRAIN, window=2, state=StepState.WAITING, ready_at=None)
    StepFactory(run=run, phase=Phase.PREDICT, window=0, gpus=2, state=StepState.RUNNING)
    StepFactory(run=run, phase=Phase.PREDICT, window=1, gpus=4)
    unit = UnitFactory(benchmark=run.edition.benchmark)
    StepFactory(run=run, phase=Phase.PREDICT, window=1, unit=unit)
    StepFactory(run=run, phase=Phase.PREDICT, window=3, state=StepState.SUCCEEDED)
    BatchFactory(state=BatchState.CHECKING)
    found = queue(worker_rows())
    facts = {
        (row.what, row.resource): (row.n_waiting, row.n_ready, row.n_resting, row.n_running, row.n_workers)
        for row in found.rows
    }
    assert facts == {
        ("check of a batch", "CPU"): (0, 1, 0, 0, 2),
        ("first contact", "CPU"): (0, 1, 0, 0, 2),
        ("train", "CPU"): (1, 2, 1, 0, 2),
        ("predict", "2 GPUs"): (0, 0, 0, 1, 1),
        ("predict", "4 GPUs"): (0, 1, 0, 0, 0),
    }
    assert [row.resource for row in found.rows if row.is_stuck] == ["4 GPUs"]
    assert found.ready_since == oldest
    assert (found.n_ready, found.n_running, found.n_waiting) == (5, 1, 1)


def test_budgets_are_shown_while_training_is_left() -> None:
    spent = EditionFactory(budget_s=100, spent_s=130.0)
    half = EditionFactory(budget_s=100, spent_s=50.0)
    done = EditionFactory(budget_s=100, spent_s=100.0)
    for edition, state in ((spent, StepState.READY), (half, StepState.WAITING), (done, StepState.SUCCEEDED)):
        run = RunFactory(edition=edition, submission__benchmark=edition.benchmark)
        StepFactory(run=run, phase=Phase.TRAIN, window=0, state=state)
        StepFactory(run=run, phase=Phase.PREDICT, window=0, state=StepState.WAITING)
    rows = queue([]).budgets
    assert [(row.edition, row.is_spent, row.n_steps) for row in rows] == [(spent, True, 1), (half, False, 1)]
    needs = [item for item in front().attention if item.need == Need.BUDGET_SPENT]
    assert [item.edition for item in needs] == [spent]


def test_an_arrival_counts_its_first_contacts() -> None:
    benchmark = BenchmarkFactory()
    edition = EditionFactory(benchmark=benchmark, windows=1)
    unit = UnitFactory(benchmark=benchmark)
    BatchFactory(corpus=benchmark.corpus, generator=unit.generator)
    states = [
        *[StepState.SUCCEEDED] * 3,
        *[StepState.RUNNING] * 2,
        *(StepState.READY, StepState.WAITING, StepState.FAILED, StepState.CANCELLED),
    ]
    for state in states:
        run = RunFactory(edition=edition, submission__benchmark=benchmark)
        StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=unit, state=state)
        # Other steps of the run are no first contacts.
        StepFactory(run=run, phase=Phase.PREDICT, window=0, state=StepState.SUCCEEDED)
    FirstContact.objects.create(
        **{"submission": run.submission, "seed": 0, "generator": unit.generator, "unit": unit},
        **{"edition": edition, "window": 0, "state_key": "0" * 64, "prospective": True},
        **dict.fromkeys(("tp", "tn", "fp", "fn"), 1),
    )
    (row,) = [row for row in arrivals() if row.unit == unit]
    assert (row.n_steps, row.n_done, row.n_running, row.n_ready) == (9, 3, 2, 1)
    assert (row.n_failed, row.n_cancelled, row.n_left, row.n_contacts) == (1, 1, 4, 1)
    assert not row.is_final
    assert row.progress == pytest.approx(5 / 9)


def test_old_arrivals_are_shown_only_while_something_is_left() -> None:
    long_ago = timezone.now() - timedelta(days=40)
    units = [UnitFactory() for _ in range(2)]
    for unit in units:
        BatchFactory(corpus=unit.benchmark.corpus, generator=unit.generator, published_at=long_ago)
    run = RunFactory(submission__benchmark=units[0].benchmark)
    StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=units[0])
    assert [row.unit for row in arrivals()] == [units[0]]


def test_failures_are_counted_by_owner_and_code() -> None:
    now = timezone.now()
    for days, code in ((1, "container_oom"), (2, "container_oom"), (3, "internal"), (45, "internal")):
        StepFactory(state=StepState.FAILED, error_code=code, finished_at=now - timedelta(days=days))
    reject(SubmissionFactory(name="no-labels"), now, "archive_labels")
    reject(SubmissionFactory(), now - timedelta(days=31), "archive_labels")
    reject(BatchFactory(), now - timedelta(days=4), "batch_empty")
    found = failures()
    assert [(row.entry.owner, row.entry.code, row.count) for row in found.rows] == [
        (Owner.PLATFORM, "internal", 1),
        (Owner.MAINTAINER, "batch_empty", 1),
        (Owner.PARTICIPANT, "container_oom", 2),
        (Owner.PARTICIPANT, "archive_labels", 1),
    ]
    assert found.by_owner == {Owner.PLATFORM: 1, Owner.MAINTAINER: 1, Owner.PARTICIPANT: 3}
    assert [ended.name for ended in found.rows[3].examples] == ["no-labels"]
    oom = found.rows[2]
    assert oom.last_at == oom.examples[0].at == now - timedelta(days=1)


def test_a_code_links_its_newest_five() -> None:
    now = timezone.now()
    for days in range(9):
        StepFactory(state=StepState.FAILED, error_code="internal", finished_at=now - timedelta(days=days))
    (row,) = failures().rows
    assert row.count == 9
    assert [(now - ended.at).days for ended in row.examples] == [0, 1, 2, 3, 4]


def test_a_step_that_is_tried_again_is_no_failure_yet() -> None:
    step = StepFactory(state=StepState.READY, error_code="worker_lost", attempts=1)
    found = failures()
    assert found.rows == ()
    assert found.retried == (step,)


def test_the_cost_of_an_owner(settings: LazySettings) -> None:
    settings.CPU_HOUR_COST, settings.GPU_HOUR_COST = 0.1, 3.0
    month = timezone.now().replace(day=1, hour=12)
    run = RunFactory(submission__owner__username="noor")
    before = month - timedelta(days=2)
    for window, (at, seconds, gpus) in enumerate(
        [(month, 3600.0, 0), (month, 1800.0, 2), (before, 7200.0, 1)]
    ):
        StepFactory(
            run=run,
            phase=Phase.TRAIN,
            window=window,
            state=StepState.SUCCEEDED,
            gpus=gpus,
            timings={"container": seconds, "prepare": 100.0},
            finished_at=at,
        )
    StepFactory(
        run=run, window=9, state=StepState.SUCCEEDED, reused=True, timings={"score": 1.0}, finished_at=month
    )
    (row,) = cost_report().rows
    assert row.owner == "noor"
    # The benchmark grants two CPUs.
    assert row.month == Cost(2, 5400.0, 10800.0, 3600.0)
    assert row.total == Cost(3, 12600.0, 25200.0, 10800.0)
    assert row.month.money == pytest.approx(3 * 0.1 + 1 * 3.0)
    assert row.total.money == pytest.approx(7 * 0.1 + 3 * 3.0)
    settings.CPU_HOUR_COST = settings.GPU_HOUR_COST = 0.0
    assert row.total.money is None
    assert cost_report().currency == ""


def test_what_is_well_needs_nobody() -> None:
    worker("well")
    StepFactory()
    BatchFactory()
    EditionFactory()
    needs = {item.need for item in front().attention} - {Need.STORAGE_FULL, Need.OBJECTS_MISSING}
    assert needs == set()


def test_everything_that_needs_somebody_is_named_once() -> None:
    worker("gone", ago_s=9999)
    worker("ill", problem="No engine.")
    StepFactory(gpus=1)
    StepFactory(state=StepState.FAILED, error_code="internal", finished_at=timezone.now())
    sealed = BatchFactory(state=BatchState.SEALED)
    rejected = BatchFactory(
        state=BatchState.REJECTED, error_code="batch_empty", error_detail="Nothing is left."
    )
    BatchFactory(state=BatchState.CHECKING)
    benchmark = BenchmarkFactory()
    EditionFactory(benchmark=benchmark, number=1, opened_at=None)
    EditionFactory(benchmark=benchmark, number=2)
    EditionFactory(benchmark=benchmark, number=3, opened_at=None)
    newest = EditionFactory(benchmark=benchmark, number=4, opened_at=None)
    found = [item for item in front().attention if item.need not in (Need.STORAGE_FULL, Need.OBJECTS_MISSING)]
    assert [item.need for item in found] == [
        Need.NOBODY_WORKS,
        Need.NOBODY_WORKS,
        Need.WORKER_LOST,
        Need.WORKER_TROUBLED,
        Need.PLATFORM_FAILURES,
        Need.EDITION_WAITS,
        Need.BATCH_SEALED,
        Need.BATCH_REJECTED,
    ]
    # The older ones that wait are behind what is open, or are contained in the newest.
    assert [item.edition for item in found if item.need == Need.EDITION_WAITS] == [newest]
    assert [item.batch for item in found if item.batch] == [sealed, rejected]


def test_a_budget_is_set_by_what_the_last_window_took() -> None:
    benchmark = BenchmarkFactory()
    first = EditionFactory(benchmark=benchmark, number=1)
    EditionFactory(benchmark=benchmark, number=2, opened_at=None)
    for _ in range(2):
        run = RunFactory(edition=first, submission__benchmark=benchmark)
        for window, seconds in enumerate((9000.0, 3600.0)):
            done = {"state": StepState.SUCCEEDED, "timings": {"container": seconds}}
            StepFactory(run=run, phase=Phase.TRAIN, window=window, **done)
    SubmissionFactory(benchmark=benchmark, phases=["predict"])
    (text,) = [item.text for item in front().attention if item.need == Need.EDITION_WAITS]
    assert "2 detectors will train; the last window took 2.0 container hours." in text
    EditionFactory(number=1, opened_at=None)
    texts = [item.text for item in front().attention if item.need == Need.EDITION_WAITS]
    assert any("0 detectors will train." in text for text in texts)


def test_the_log_is_searched_literally() -> None:
    record("ada", Verb.BATCH_CREATED, "50%", reason="as_is")
    record("noor", Verb.BATCH_PUBLISHED, "50 of them", batch="a-b-c")
    assert [action.actor for action in actions(text="50%")] == ["ada"]
    assert [action.actor for action in actions(text="s_i")] == ["ada"]
    assert [action.actor for action in actions(text="A-B-C")] == ["noor"]
    assert [action.actor for action in actions(actor="noor", verb=Verb.BATCH_CREATED)] == []


def populate(times: int) -> None:
    """As much of everything that is live."""
    now = timezone.now()
    for number in range(times):
        name = f"w-{now.timestamp()}-{number}"
        worker(name)
        run = RunFactory()
        StepFactory(run=run, phase=Phase.TRAIN, window=0, state=StepState.RUNNING, leased_by=name)
        unit = UnitFactory(benchmark=run.edition.benchmark)
        StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=unit)
        StepFactory(
            run=run,
            window=7,
            state=StepState.FAILED,
            error_code="internal",
            finished_at=now,
            timings={"container": 1.0},
        )
        reject(SubmissionFactory(), now, "archive_labels")
        BatchFactory(state=BatchState.SEALED)


@pytest.mark.parametrize(
    "part", [worker_rows, arrivals, failures, cost_report, lambda: queue(worker_rows()), references, front]
)
def test_a_part_takes_as_many_queries_for_ten_as_for_two(part: Callable[[], object]) -> None:
    part()
    populate(2)
    with CaptureQueriesContext(connection) as few:
        part()
    populate(8)
    with CaptureQueriesContext(connection) as many:
        part()
    assert len(many) == len(few) <= 30
