"""Claims, heartbeats, fencing and giving back, on a real PostgreSQL."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.utils import timezone

from leaderboard.models import Batch, Event, Run, Step, Submission
from leaderboard.services import leases, runs
from protocols.contract import Phase
from protocols.errors import PlatformError
from protocols.states import BatchState, RunState, StepState, SubmissionState
from tests.leaderboard.factories import BatchFactory, RunFactory, StepFactory, SubmissionFactory

pytestmark = pytest.mark.django_db


def expire(step: Step) -> None:
    Step.objects.filter(pk=step.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def due(step: Step) -> None:
    Step.objects.filter(pk=step.pk).update(not_before=None)


def test_a_claim_takes_the_oldest_ready_step_and_starts_the_run() -> None:
    run = RunFactory(state=RunState.QUEUED, started_at=None)
    older = StepFactory(run=run, ready_at=timezone.now() - timedelta(minutes=1))
    StepFactory(run=run)
    claimed = leases.claim_step("w1")
    assert claimed == older
    assert (claimed.state, claimed.leased_by, claimed.attempts) == (StepState.RUNNING, "w1", 1)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert run.started_at is not None


def test_steps_that_need_more_gpus_than_the_worker_has_are_left() -> None:
    StepFactory(gpus=2)
    assert leases.claim_step("w", gpus=1) is None
    assert leases.claim_step("w", gpus=2) is not None


def test_a_key_that_is_being_computed_is_not_computed_twice() -> None:
    first, second = StepFactory(), StepFactory()
    Step.objects.filter(pk=second.pk).update(key=first.key)
    assert leases.claim_step("w1") == first
    assert leases.claim_step("w2") is None
    with transaction.atomic():
        leases.fence(claimed := Step.objects.get(pk=first.pk))
        runs.step_succeed(claimed)
    assert leases.claim_step("w2") == second


def test_a_later_claim_holds_a_larger_token() -> None:
    step = StepFactory()
    first = leases.claim_step("w1")
    assert first is not None
    token = first.lease_token
    leases.release(first, reason="shut down", counts=False)
    second = leases.claim_step("w2")
    assert second == step
    assert second.lease_token > token


def test_the_late_result_of_a_zombie_is_refused() -> None:
    StepFactory()
    zombie = leases.claim_step("zombie")
    assert zombie is not None
    expire(zombie)
    assert leases.release_expired() == 1
    due(zombie)
    heir = leases.claim_step("heir")
    assert heir == zombie
    with pytest.raises(PlatformError, match="lease_lost"):
        leases.renew(zombie, progress=0.9)
    with pytest.raises(PlatformError, match="lease_lost"), transaction.atomic():
        leases.fence(zombie)
    heir.refresh_from_db()
    assert (heir.state, heir.leased_by) == (StepState.RUNNING, "heir")


def test_who_never_claimed_holds_nothing() -> None:
    work = SubmissionFactory(state=SubmissionState.CHECKING)
    with pytest.raises(PlatformError, match="lease_lost"), transaction.atomic():
        leases.fence(work)


def test_a_renewed_lease_does_not_expire() -> None:
    StepFactory()
    step = leases.claim_step("w")
    assert step is not None
    expire(step)
    leases.renew(step, progress=0.5, activity="training")
    assert leases.release_expired() == 0
    step.refresh_from_db()
    assert (step.progress, step.activity) == (0.5, "training")


def test_three_platform_failures_fail_the_run_with_the_reason(settings: LazySettings) -> None:
    step = StepFactory()
    waiting = StepFactory(run=step.run, state=StepState.WAITING)
    for attempt in range(1, settings.MAX_ATTEMPTS + 1):
        due(step)
        claimed = leases.claim_step("w")
        assert claimed is not None
        assert claimed.attempts == attempt
        leases.release(
            claimed, reason="no answer", counts=True, error=PlatformError("engine_unavailable", "no answer")
        )
    step.refresh_from_db()
    waiting.refresh_from_db()
    run = Run.objects.get(pk=step.run_id)
    assert (step.state, step.error_code) == (StepState.FAILED, "attempts_exhausted")
    assert waiting.state == StepState.CANCELLED
    assert (run.state, run.error_code) == (RunState.FAILED, "attempts_exhausted")
    assert "engine_unavailable: no answer" in run.error_detail


def test_a_failed_attempt_waits_longer_each_time(settings: LazySettings) -> None:
    step = StepFactory()
    delays = []
    for _ in range(settings.MAX_ATTEMPTS - 1):
        due(step)
        claimed = leases.claim_step("w")
        assert claimed is not None
        before = timezone.now()
        leases.release(claimed, reason="x", counts=True)
        step.refresh_from_db()
        delays.append((step.not_before - before).total_seconds())
        assert leases.claim_step("w") is None
    assert delays == pytest.approx([settings.RETRY_DELAY_S * 2**n for n in range(len(delays))], abs=1)


def test_a_shut_down_worker_costs_no_attempt() -> None:
    StepFactory()
    step = leases.claim_step("w")
    assert step is not None
    leases.release(step, reason="The worker was shut down.", counts=False)
    again = leases.claim_step("w")
    assert again is not None
    assert again.attempts == 1


def test_an_expired_step_of_a_cancelled_run_is_cancelled() -> None:
    step = StepFactory()
    claimed = leases.claim_step("w")
    assert claimed is not None
    runs.run_cancel(step.run, actor="owner")
    expire(step)
    assert leases.release_expired() == 1
    step.refresh_from_db()
    assert step.state == StepState.CANCELLED
    assert Run.objects.get(pk=step.run_id).state == RunState.CANCELLED


@pytest.mark.parametrize(
    ("factory", "model", "state", "rejected"),
    [
        (SubmissionFactory, Submission, SubmissionState.CHECKING, SubmissionState.REJECTED),
        (BatchFactory, Batch, BatchState.CHECKING, BatchState.REJECTED),
    ],
)
def test_checks_are_leased_too(
    factory: type, model: type, state: str, rejected: str, settings: LazySettings
) -> None:
    work = factory(state=state)
    for _ in range(settings.MAX_ATTEMPTS):
        claimed = leases.claim_check(model, "w")
        assert claimed == work
        assert leases.claim_check(model, "other") is None
        model.objects.filter(pk=work.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        assert leases.release_expired() == 1
        model.objects.filter(pk=work.pk).update(not_before=None)
    work.refresh_from_db()
    assert (work.state, work.error_code) == (rejected, "attempts_exhausted")


@pytest.mark.django_db(transaction=True)
def test_many_workers_never_hold_the_same_step() -> None:
    run = RunFactory()
    for window in range(30):
        StepFactory(run=run, phase=Phase.TRAIN, window=window)
    taken: list[int] = []
    start = threading.Barrier(6)

    def work(name: str) -> None:
        start.wait()
        try:
            while step := leases.claim_step(name):
                taken.append(step.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A step left over by a race is taken by the next look, never by two workers.
    while step := leases.claim_step("last"):
        taken.append(step.pk)
    assert sorted(taken) == sorted(Step.objects.values_list("pk", flat=True))
    assert Event.objects.filter(step__isnull=False, new=StepState.RUNNING).count() == 30
