"""What waits for what, and for how long it will."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.models import Run, Step, WorkerBeat
from leaderboard.selectors.waits import Wait, wait_of, waits_of
from leaderboard.services.workers import worker_seen
from protocols.contract import Phase
from protocols.states import StepState, SubmissionState
from tests.leaderboard.factories import (
    EditionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UploadFactory,
)

pytestmark = pytest.mark.django_db


def took(run: Run, seconds: float, **fields: object) -> Step:
    now = timezone.now()
    return StepFactory(
        run=run,
        state=StepState.SUCCEEDED,
        started_at=now - timedelta(seconds=seconds),
        finished_at=now,
        **fields,
    )


def wait(step: Step) -> Wait | None:
    step = Step.objects.select_related("run__edition__benchmark").get(pk=step.pk)
    return waits_of([step]).get(step.pk)


@pytest.fixture
def run() -> Run:
    worker_seen("w1", started_at=timezone.now())
    return RunFactory(edition=EditionFactory(windows=2), submission__benchmark=EditionFactory().benchmark)


def test_a_guess_adds_up_what_is_before_and_divides_it_among_the_workers(run: Run) -> None:
    for window, seconds in enumerate((50, 100, 900), start=10):
        took(run, seconds, phase=Phase.TRAIN, window=window)
    now = timezone.now()
    # 40 of its 100 seconds are over; two more are before ours.
    StepFactory(run=run, window=0, state=StepState.RUNNING, started_at=now - timedelta(seconds=40))
    for minutes in (3, 2):
        other = RunFactory(submission=run.submission, edition=run.edition, seed=minutes)
        StepFactory(run=other, window=0, ready_at=now - timedelta(minutes=minutes))
    ours = StepFactory(run=run, window=1, ready_at=now)
    found = wait(ours)
    assert found is not None
    assert (found.what_for, found.position) == ("its turn: 2 steps are before it", 3)
    assert found.expected_s == pytest.approx(60 + 100 + 100, abs=2)
    worker_seen("w2", started_at=now)
    worker_seen("w3", started_at=now, takes=["checks"])
    assert wait(ours).expected_s == pytest.approx(130, abs=2)


def test_with_a_free_worker_it_begins_at_once_even_when_nothing_was_measured(run: Run) -> None:
    assert wait(StepFactory(run=run, window=0)) == Wait("its turn: it is the next", 1, 0.0)


def test_behind_what_was_never_measured_nothing_is_guessed(run: Run) -> None:
    StepFactory(run=run, window=0, state=StepState.RUNNING, started_at=timezone.now())
    assert wait(StepFactory(run=run, window=1)) == Wait("its turn: it is the next", 1, None)


@pytest.mark.parametrize(
    ("fields", "what_for"),
    [
        ({"state": StepState.WAITING, "window": 3}, "training on window 2"),
        ({"state": StepState.WAITING, "window": 3, "phase": Phase.PREDICT}, "training on window 3"),
        ({"gpus": 1}, "a worker with 1 GPU: none is there"),
        ({"gpus": 2}, "a worker with 2 GPUs: none is there"),
        ({"not_before": timezone.now() + timedelta(hours=1)}, "another attempt after a fault of ours"),
    ],
)
def test_a_wait_says_what_for(run: Run, fields: dict[str, object], what_for: str) -> None:
    assert wait(StepFactory(run=run, **{"window": 0, **fields})).what_for == what_for


def test_a_spent_budget_and_a_twin_are_told(run: Run) -> None:
    step = StepFactory(run=run, window=0)
    twin = StepFactory(run=run, window=1, state=StepState.RUNNING, started_at=timezone.now())
    Step.objects.filter(pk=twin.pk).update(key=step.key)
    assert wait(step).what_for == "the same work of another entry, whose result it takes"
    run.edition.budget_s, run.edition.spent_s = 10, 10.0
    run.edition.save()
    assert wait(step).what_for == "a maintainer to grant more training on this edition"


def test_without_a_worker_it_waits_for_one(run: Run) -> None:
    WorkerBeat.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    assert wait(StepFactory(run=run, window=0)) == Wait("a worker: none is there", 1, None)


def test_what_runs_or_has_ended_waits_for_nothing(run: Run) -> None:
    assert wait(took(run, 5, window=0)) is None
    assert wait(StepFactory(run=run, window=1, state=StepState.RUNNING)) is None


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (SubmissionState.DRAFT, Wait("its image archive")),
        (SubmissionState.CHECKING, Wait("a worker to check its archive", 2)),
        (SubmissionState.TRIAL, Wait("a worker to try it on sample images", 2)),
        (SubmissionState.ACCEPTED, Wait("the benchmark's first edition")),
        (SubmissionState.REJECTED, None),
    ],
)
def test_a_submission_says_what_it_waits_for_before_its_first_run(
    state: SubmissionState, found: Wait | None
) -> None:
    SubmissionFactory(state=state)
    assert wait_of(SubmissionFactory(state=state, upload=UploadFactory()), has_run=False) == found


def test_a_submission_that_a_worker_holds_or_that_has_a_run_waits_for_nothing(run: Run) -> None:
    assert wait_of(run.submission, has_run=True) is None
    held = SubmissionFactory(state=SubmissionState.CHECKING, lease_token=1)
    assert wait_of(held, has_run=False) is None
