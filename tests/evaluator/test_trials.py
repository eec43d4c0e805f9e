"""Trials of submissions: real archives, real containers, real workers that are killed in mid-trial."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core import serializers
from django.db import connection

from evaluator.tasks import work_off
from leaderboard.models import Benchmark, Event, Run, Submission, Trial
from leaderboard.services.submissions import submission_cancel, submission_retry
from protocols.states import RunState, SubmissionState
from tests.engines import Engines, Running
from tests.evaluator.processes import Processes, containers, processes, until
from tests.evaluator.world import make_world, submit
from tests.sandbox.trials import Behaviour, make_trial_image, save_image

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.container]

__all__ = ["processes"]


@pytest.fixture
def benchmark(worker_settings: LazySettings) -> Benchmark:
    worker_settings.WORKER_TAKES = ["checks", "trials"]
    return make_world()


@pytest.fixture
def detector(engines: Engines, podman: Running) -> Path:
    """The archive of ``tests.sandbox.trials``, whose seed says what it does."""
    path = engines.folder / "trial.tar"
    if not path.exists():
        name = "localhost/tidemark/test-trial-archive"
        make_trial_image(podman.client, podman.image_id, name)
        save_image(podman.client, name, path)
    return path


def tried(benchmark: Benchmark, detector: Path, behaviour: Behaviour) -> Submission:
    """Submit, check and try the detector in this process."""
    submission = submit(benchmark, detector, behaviour.name, seed=behaviour)
    assert work_off("w1") == 2
    submission.refresh_from_db()
    return submission


def moves(submission: Submission) -> list[str]:
    return [event.new for event in Event.objects.filter(submission=submission)]


def work_folder_is_empty() -> bool:
    return not list((Path(os.environ["TIDEMARK_HOME"]) / "work").iterdir())


def test_a_detector_that_works_is_accepted_and_takes_its_place(
    benchmark: Benchmark, detector: Path, podman: Running
) -> None:
    submission = tried(benchmark, detector, Behaviour.WORKS)
    assert submission.state == SubmissionState.ACCEPTED, submission.error_detail
    assert moves(submission)[-3:] == ["checking", "trial", "accepted"]
    train, predict = submission.trials.all()
    assert (train.phase, train.error_code, predict.phase, predict.error_code) == ("train", "", "predict", "")
    assert train.log == 'train begins\n{"progress": 0.5}\ntrain is done\n'
    assert "state: ['head', 'tool'] True" in predict.log
    assert train.seconds > 0
    assert train.peak_memory_bytes
    # It waits for the workers that take steps.
    assert submission.runs.get().state == RunState.QUEUED
    assert (submission.error_code, submission.progress, submission.lease_token) == ("", 1.0, None)
    assert not containers(podman)
    assert work_folder_is_empty()


@pytest.mark.parametrize(
    ("behaviour", "code", "phases"),
    [
        (Behaviour.FAILS_IN_TRAINING, "container_exit", ["train"]),
        (Behaviour.FAILS_IN_PREDICTION, "container_exit", ["train", "predict"]),
        (Behaviour.LEAVES_A_LINK, "state_irregular", ["train"]),
        (Behaviour.FORGETS_AN_IMAGE, "predictions_incomplete", ["train", "predict"]),
    ],
)
def test_a_detector_that_fails_is_rejected_with_its_whole_log(
    benchmark: Benchmark, detector: Path, podman: Running, behaviour: Behaviour, code: str, phases: list[str]
) -> None:
    submission = tried(benchmark, detector, behaviour)
    assert (submission.state, submission.error_code) == (SubmissionState.REJECTED, code)
    trials = list(submission.trials.all())
    assert [trial.phase for trial in trials] == phases
    assert trials[-1].error_code == code
    assert trials[-1].error_detail == submission.error_detail
    assert all(trial.error_code == "" for trial in trials[:-1])
    assert trials[-1].log.startswith(f"{phases[-1]} begins\n")
    if code == "container_exit":
        assert "Traceback (most recent call last)" in trials[-1].log
        assert "ValueError: no such layer: sample" in trials[-1].log
    # It never had a place in the queue, and counts as no attempt of ours.
    assert not Run.objects.exists()
    assert not containers(podman)
    assert work_folder_is_empty()


def test_a_detector_that_hangs_is_rejected_at_the_limit_of_a_trial(
    benchmark: Benchmark, detector: Path, podman: Running, worker_settings: LazySettings
) -> None:
    worker_settings.TRIAL_TIMEOUT_S = 3.0
    submission = tried(benchmark, detector, Behaviour.HANGS_IN_PREDICTION)
    assert (submission.state, submission.error_code) == (SubmissionState.REJECTED, "container_timeout")
    assert "3 s" in submission.error_detail
    assert submission.trials.get(phase="predict").log.startswith("predict begins")
    assert not containers(podman)


def test_a_platform_fault_gives_the_trial_back_for_another_attempt(
    benchmark: Benchmark, detector: Path, worker_settings: LazySettings
) -> None:
    worker_settings.WORKER_TAKES = ["checks"]
    submission = submit(benchmark, detector, "unlucky", seed=Behaviour.WORKS)
    work_off("w1")
    worker_settings.WORKER_TAKES = ["trials"]
    image_id = Submission.objects.get(pk=submission.pk).image_id
    # The engine ends up with another image than the one that was checked.
    Submission.objects.filter(pk=submission.pk).update(image_id="sha256:" + "0" * 64)
    work_off("w1")
    submission.refresh_from_db()
    assert (submission.state, submission.error_code) == (SubmissionState.REJECTED, "attempts_exhausted")
    assert "image_digest" in submission.error_detail
    assert submission.attempts == worker_settings.MAX_ATTEMPTS
    assert not Trial.objects.exists()
    # The fault was ours, so it may begin again with the archive that is there.
    Submission.objects.filter(pk=submission.pk).update(image_id=image_id)
    submission.refresh_from_db()
    submission_retry(submission, actor="owner")
    work_off("w1")
    submission.refresh_from_db()
    assert submission.state == SubmissionState.ACCEPTED, submission.error_detail


def test_nothing_of_environment_and_history_is_kept(
    benchmark: Benchmark, podman: Running, engines: Engines
) -> None:
    """They may hold a token that was used in the build; only the archive itself has them."""
    name = "localhost/tidemark/test-trial-secret"
    container = podman.client.containers.create(podman.image_id, command=["train"])
    try:
        changes = [
            "ENV HF_TOKEN=hf_secret",
            "LABEL io.tidemark.phases=predict",
            "LABEL note=hf_secret",
            'ENTRYPOINT ["false"]',
        ]
        container.commit(name, changes=changes, message="ARG TOKEN=hf_secret")
    finally:
        container.remove()
    archive = save_image(podman.client, name, engines.folder / "secret.tar")
    assert b"hf_secret" in archive.read_bytes()
    submission = submit(benchmark, archive, "secretive")
    assert work_off("w1") == 2
    submission.refresh_from_db()
    assert submission.error_code == "container_exit"
    rows = [submission, *Trial.objects.all(), *Event.objects.all()]
    assert len(rows) > 3
    assert "hf_secret" not in serializers.serialize("json", rows)
    assert "hf_secret" not in json.dumps([str(row.__dict__) for row in rows])
    archive.unlink()


def trial_underway(submission: Submission) -> Submission:
    """Wait until the container of the trial reports progress."""
    trials = Submission.objects.filter(pk=submission.pk, state=SubmissionState.TRIAL, progress__gt=0)
    found: Submission = until("the trial", trials.first)
    return found


@pytest.mark.processes
def test_a_trial_that_is_cancelled_stops_its_container(
    benchmark: Benchmark, detector: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, detector, "cancelled", seed=Behaviour.HANGS_IN_TRAINING)
    processes.sweeper()
    processes.worker("w")
    submission = trial_underway(submission)
    assert submission.activity == "training on the sample"
    assert containers(podman)
    submission_cancel(submission, actor="owner")
    until("the removal of every container", lambda: not containers(podman))
    submission.refresh_from_db()
    assert submission.state == SubmissionState.WITHDRAWN
    assert not submission.trials.exists()
    until("an empty work folder", work_folder_is_empty)


@pytest.mark.processes
def test_a_worker_killed_in_mid_trial_is_replaced(
    benchmark: Benchmark, detector: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, detector, "orphan", seed=Behaviour.HANGS_IN_TRAINING)
    processes.sweeper()
    first = processes.worker("first")
    orphan = trial_underway(submission)
    (left,) = [container["Id"] for container in containers(podman)]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    # Meanwhile it would work.
    Submission.objects.filter(pk=submission.pk).update(seed=Behaviour.WORKS)
    processes.worker("second")
    until(
        "the end of the trial",
        lambda: Submission.objects.filter(pk=submission.pk, state=SubmissionState.ACCEPTED).exists(),
    )
    submission.refresh_from_db()
    assert orphan.leased_by == "first@test"
    assert [event.actor for event in Event.objects.filter(submission=submission)][-1] == "second@test"
    assert submission.trials.count() == 2
    until("the removal of the orphan", lambda: left not in [c["Id"] for c in containers(podman)])
    until("the end of its run", lambda: submission.runs.filter(finished_at__isnull=False).exists())
    until("an empty work folder", work_folder_is_empty)


@pytest.mark.processes
def test_a_worker_that_is_shut_down_gives_its_trial_back_at_once(
    benchmark: Benchmark, detector: Path, processes: Processes, podman: Running
) -> None:
    submission = submit(benchmark, detector, "shutdown", seed=Behaviour.HANGS_IN_TRAINING)
    processes.sweeper()
    worker = processes.worker("first")
    trial_underway(submission)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    assert time.monotonic() - started < 15
    connection.close()
    submission.refresh_from_db()
    assert (submission.state, submission.attempts) == (SubmissionState.TRIAL, 0)
    assert submission.lease_token is None
    assert not containers(podman)
