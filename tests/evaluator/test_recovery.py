"""Nothing is lost and nothing is done twice: real worker and sweeper processes, killed and cut off."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection

from evaluator.tasks import work_off
from leaderboard.models import (
    Benchmark,
    Event,
    FirstContact,
    Generator,
    PeriodScore,
    Prediction,
    Run,
    Step,
    Submission,
    UnitScore,
)
from leaderboard.queue import send_wake_up
from leaderboard.services.generators import generator_withdraw
from leaderboard.services.runs import run_cancel
from local.postgres import Postgres
from local.redis import Redis
from protocols.states import RunState, StepState, SubmissionState
from tests.engines import Running
from tests.evaluator.processes import Processes, containers, processes, until
from tests.evaluator.world import arrive, make_world, predictions, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.container, pytest.mark.processes]

__all__ = ["processes"]


@pytest.fixture
def benchmark(worker_settings: LazySettings) -> Benchmark:
    return make_world()


def ended(submission: Submission) -> Run:
    def run() -> Run | None:
        return submission.runs.filter(finished_at__isnull=False).first()

    return until("the end of the run", run)


def training_underway(submission: Submission, window: int = 1) -> Step:
    """Wait until the container of a training step reports progress."""
    steps = Step.objects.filter(
        run__submission=submission, phase="train", window=window, state=StepState.RUNNING, progress__gt=0
    )
    return until(f"training at window {window}", steps.first)


def times_begun(run: Run) -> dict[tuple[str, int], int]:
    """How often each step was claimed."""
    return {
        (step.phase, step.window): Event.objects.filter(step=step, new=StepState.RUNNING).count()
        for step in run.steps.all()
    }


def test_a_worker_killed_in_mid_training_loses_nothing_and_leaves_nothing(
    benchmark: Benchmark, archive: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, archive, "killed", seed=6)
    processes.sweeper()
    first = processes.worker("first")
    step = training_underway(submission)
    assert len(containers(podman)) >= 1
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    processes.worker("second")
    run = ended(submission)
    assert run.state == RunState.SUCCEEDED, run.error_detail
    begun = times_begun(run)
    assert begun.pop(("train", 1)) == 2
    # The last finished window stands; whatever else the dead worker had not begun is done once.
    assert set(begun.values()) == {1}
    step.refresh_from_db()
    assert (step.leased_by, step.attempts) == ("second@test", 2)
    assert (
        "first@test lost contact" in Event.objects.get(step=step, new=StepState.READY, old="running").reason
    )
    assert predictions().count() == 8
    until("the removal of every container", lambda: not containers(podman))
    folder = Path(os.environ["TIDEMARK_HOME"]) / "work"
    assert not list(folder.iterdir())


def test_a_worker_that_is_shut_down_gives_its_step_back_at_once(
    benchmark: Benchmark, archive: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, archive, "shutdown", seed=30)
    processes.sweeper()
    worker = processes.worker("first")
    step = training_underway(submission)
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    step.refresh_from_db()
    assert (step.state, step.attempts) == (StepState.READY, 0)
    assert not containers(podman)


def test_a_zombies_late_result_is_refused(
    benchmark: Benchmark, archive: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, archive, "zombie", seed=8)
    processes.sweeper()
    zombie = processes.worker("zombie")
    step = training_underway(submission)
    # Stopped, not dead: its container goes on, and it will wake up and believe that it holds the step.
    zombie.send_signal(signal.SIGSTOP)
    until(
        "the expiry of the zombie's lease",
        lambda: Step.objects.filter(pk=step.pk).exclude(leased_by="zombie@test", state="running").exists(),
    )
    processes.worker("heir")
    until("the heir's claim", lambda: Step.objects.filter(pk=step.pk, leased_by="heir@test").exists())
    zombie.send_signal(signal.SIGCONT)
    run = ended(submission)
    assert run.state == RunState.SUCCEEDED, run.error_detail
    endings = Event.objects.filter(step=step, new=StepState.SUCCEEDED)
    assert [event.actor for event in endings] == ["heir@test"]
    # It finds out by its heartbeat, or when it tries to write, whichever comes first.
    words = ("reason=lease_lost", "late_result_refused")
    until("the zombie's surrender", lambda: any(word in processes.log("zombie") for word in words))
    until("the removal of every container", lambda: not containers(podman))


def test_a_flushed_broker_loses_no_work(
    benchmark: Benchmark, archive: Path, processes: Processes, redis_server: Redis
) -> None:
    processes.sweeper()
    processes.worker("w")
    first = submit(benchmark, archive, "first", seed=4)
    training_underway(first)
    redis_server.flush()
    second = submit(benchmark, archive, "second", seed=3)
    redis_server.flush()
    assert ended(first).state == RunState.SUCCEEDED
    assert ended(second).state == RunState.SUCCEEDED


def test_a_restarted_broker_loses_no_work(
    benchmark: Benchmark, archive: Path, processes: Processes, redis_server: Redis
) -> None:
    processes.sweeper()
    processes.worker("w")
    submission = submit(benchmark, archive, "restarted", seed=4)
    training_underway(submission)
    redis_server.restart()
    assert ended(submission).state == RunState.SUCCEEDED
    assert set(times_begun(submission.runs.get()).values()) == {1}
    assert send_wake_up()


def test_a_restarted_database_loses_no_work(
    benchmark: Benchmark, archive: Path, processes: Processes, postgres_server: Postgres
) -> None:
    processes.sweeper()
    processes.worker("w")
    submission = submit(benchmark, archive, "restarted", seed=6)
    training_underway(submission)
    connection.close()
    postgres_server.restart()
    run = ended(submission)
    assert run.state == RunState.SUCCEEDED, run.error_detail
    assert set(times_begun(run).values()) == {1}


def test_a_step_that_the_platform_fails_three_times_fails_the_run(
    benchmark: Benchmark, archive: Path, worker_settings: LazySettings
) -> None:
    submission = submit(benchmark, archive, "unlucky")
    work_off_checks(submission)
    # The store lost the archive, and the engine does not have the image: no worker can ever run it.
    submission.refresh_from_db()
    Submission.objects.filter(pk=submission.pk).update(image_id="sha256:" + "0" * 64)
    work_off("w")
    run = submission.runs.get()
    assert (run.state, run.error_code) == (RunState.FAILED, "attempts_exhausted")
    assert "image_digest" in run.error_detail
    assert times_begun(run)["train", 0] == worker_settings.MAX_ATTEMPTS


def work_off_checks(submission: Submission) -> None:
    """Check the archive and try it without running any step."""
    from evaluator.lease import held
    from evaluator.submissions import check_submission
    from evaluator.trials import run_submission_trial
    from evaluator.worker import connected
    from leaderboard.services.leases import claim_check, claim_trial

    claimed = claim_check(Submission, "checker")
    assert claimed == submission
    with held(claimed) as lease:
        check_submission(claimed, lease)
    claimed = claim_trial("trier")
    assert claimed == submission
    with connected("trier") as worker, held(claimed) as lease:
        run_submission_trial(claimed, lease, worker)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.ACCEPTED


def test_a_cancelled_run_stops_its_container(
    benchmark: Benchmark, archive: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, archive, "cancelled", seed=60)
    processes.sweeper()
    processes.worker("w")
    training_underway(submission)
    run_cancel(submission.runs.get(), actor="owner")
    run = ended(submission)
    assert run.state == RunState.CANCELLED
    until("the removal of every container", lambda: not containers(podman))
    # What was finished before stays.
    assert run.steps.get(phase="train", window=0).state == StepState.SUCCEEDED


def arrival_underway(submission: Submission) -> Step:
    steps = Step.objects.filter(
        run__submission=submission, unit__isnull=False, state=StepState.RUNNING, activity="predicting"
    )
    return until("the first contact", steps.first)


def test_a_worker_killed_in_mid_arrival_is_replaced_and_everybody_meets_the_newcomer_once(
    benchmark: Benchmark, archive: Path, processes: Processes, podman: Running
) -> None:
    slow = submit(benchmark, archive, "slow", seed=206)
    quick = submit(benchmark, archive, "quick", seed=1)
    work_off("setup")
    processes.sweeper()
    first = processes.worker("first")
    arrive(benchmark, "new", date(2021, 1, 1))
    step = arrival_underway(slow)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    processes.worker("second")
    contacts = FirstContact.objects.filter(generator__slug="new", submission__null_row="")
    until("both first contacts", lambda: contacts.count() == 2)
    step.refresh_from_db()
    assert (step.state, step.attempts) == (StepState.SUCCEEDED, 2)
    met = Step.objects.get(run__submission=quick, unit__isnull=False)
    assert (met.state, met.attempts) == (StepState.SUCCEEDED, 1)
    assert predictions().filter(unit__generator__slug="new").count() == 2
    assert all(contact.prospective for contact in contacts.all())
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.SUCCEEDED}
    until("the removal of every container", lambda: not containers(podman))


def test_an_arrival_and_a_withdrawal_in_mid_run_disturb_no_step(
    benchmark: Benchmark, archive: Path, processes: Processes
) -> None:
    submission = submit(benchmark, archive, "training", seed=4)
    processes.sweeper()
    processes.worker("only")
    training = training_underway(submission)
    newcomer = arrive(benchmark, "new", date(2021, 1, 1))
    gone = Generator.objects.get(slug="g3")
    generator_withdraw(gone, actor="ada", reason="The licence was revoked.")
    run = ended(submission)
    assert run.state == RunState.SUCCEEDED, run.error_detail
    training.refresh_from_db()
    assert training.attempts == 1
    until("the newcomer's first contact", submission.first_contacts.filter(generator=newcomer).exists)
    until("fresh scores", lambda: not Run.objects.filter(stale_since__isnull=False).exists())
    # The checkpoint of window 1 never saw the evaluation images of what was withdrawn before.
    last = run.steps.get(phase="predict", window=1, unit=None)
    scored = Prediction.objects.filter(state_key=last.key).values_list("unit__generator__slug", flat=True)
    assert set(scored) == {"g0", "g1", "g2", "new"}
    # Window 1 holds g2 alone: so does the forecast, which had been scored with g3 before.
    forecast = PeriodScore.objects.get(run=run, window=0, period="next")
    alone = UnitScore.objects.get(run=run, window=0, unit__generator__slug="g2")
    assert forecast.roc_auc == alone.roc_auc
    assert set(times_begun(run).values()) == {1}
