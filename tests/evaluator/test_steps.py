"""Whole runs in this process: real database, real store, real containers."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from django.conf import LazySettings

from evaluator.tasks import work_off
from leaderboard.models import (
    Benchmark,
    Checkpoint,
    PeriodScore,
    Run,
    RunScore,
    Submission,
    UnitScore,
    Upload,
)
from leaderboard.services.scores import stored_scores
from leaderboard.store import store
from protocols.plan import EMPTY_STATE
from protocols.states import RunState, StepState, SubmissionState
from tests.engines import Running
from tests.evaluator.world import N_EVAL, N_TRAIN, make_archive, make_world, predictions, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.container]


def diary(run: Run, window: int) -> list[str]:
    """What the detector had written into its state after a window."""
    (entry,) = store().read_json(run.steps.get(phase="train", window=window).state_hash)
    return store().read_bytes(entry["sha256"]).decode().splitlines()


def containers(podman: Running) -> list[str]:
    found = podman.client.api.containers(all=True, filters={"label": "io.tidemark.instance=tests"})
    return [container["Id"] for container in found]


@pytest.fixture
def benchmark(worker_settings: LazySettings) -> Benchmark:
    return make_world()


def test_a_detector_goes_from_archive_to_score(benchmark: Benchmark, archive: Path, podman: Running) -> None:
    submission = submit(benchmark, archive, "diary")
    # Its check, its trial and its four steps, and two null rows.
    assert work_off("w1") == 8
    submission.refresh_from_db()
    run = submission.runs.get()
    assert submission.state == SubmissionState.ACCEPTED
    assert submission.phases == ["train", "predict"]
    assert run.state == RunState.SUCCEEDED, run.error_detail
    # Windows of two generators, as many reals as fakes; cumulative training sees them all again.
    assert diary(run, 1) == [f"0 {4 * N_TRAIN} {2 * N_TRAIN}", f"1 {8 * N_TRAIN} {4 * N_TRAIN}"]
    units = list(benchmark.units.all())
    for window in range(2):
        step = run.steps.get(phase="predict", window=window)
        scores = stored_scores(step.key, units)
        assert {len(values) for values in scores.values()} == {2 * N_EVAL}
        assert UnitScore.objects.filter(run=run, window=window).count() == 4
        assert step.timings.keys() >= {"prepare", "stage", "load", "container", "engine", "collect", "score"}
        assert step.log_tail == ""
        assert "training" in run.steps.get(phase="train", window=window).log_tail
    # The score is a function of the image's id alone, so both windows agree.
    assert predictions().count() == 8
    assert PeriodScore.objects.filter(run=run, period="next").count() == 1
    assert RunScore.objects.filter(run=run).count() == 3
    assert not Upload.objects.exists()
    assert not containers(podman)
    assert not list((store().root.parent / "work").iterdir())


def test_continual_training_mounts_the_new_window_alone(worker_settings: LazySettings, archive: Path) -> None:
    benchmark = make_world(mode="continual")
    submission = submit(benchmark, archive, "diary")
    work_off("w1")
    run = submission.runs.get()
    assert diary(run, 1) == [f"{k} {4 * N_TRAIN} {2 * N_TRAIN}" for k in range(2)]


def test_the_same_image_again_computes_nothing(benchmark: Benchmark, archive: Path) -> None:
    first = submit(benchmark, archive, "first")
    work_off("w1")
    second = submit(benchmark, archive, "second")
    work_off("w1")
    runs = [submission.runs.get() for submission in (first, second)]
    assert [run.state for run in runs] == [RunState.SUCCEEDED] * 2
    assert set(runs[0].steps.values_list("reused", flat=True)) == {False}
    assert set(runs[1].steps.values_list("reused", flat=True)) == {True}
    assert predictions().count() == 8
    assert Checkpoint.objects.count() == 2
    averages = [list(run.scores.order_by("period").values_list("period", "value")) for run in runs]
    assert averages[0] == averages[1]


def test_a_detector_without_training_predicts_once(
    benchmark: Benchmark, podman: Running, archive: Path, tmp_path: Path
) -> None:
    from local.images import ensure_detector

    constant = ensure_detector(podman.engine, "constant")
    path = make_archive(podman.client, constant, tmp_path / "untrained.tar", phases="predict")
    submission = submit(benchmark, path, "untrained")
    work_off("w1")
    run = submission.runs.get()
    assert run.state == RunState.SUCCEEDED
    assert list(run.steps.order_by("window").values_list("phase", "reused")) == [
        ("predict", False),
        ("predict", True),
    ]
    assert set(run.steps.values_list("state_hash", flat=True)) == {EMPTY_STATE}
    assert predictions().count() == 4


def test_a_failing_container_ends_its_run_and_not_the_worker(benchmark: Benchmark, archive: Path) -> None:
    failing = submit(benchmark, archive, "failing", seed=100)
    fine = submit(benchmark, archive, "fine")
    work_off("w1")
    run = failing.runs.get()
    assert (run.state, run.error_code) == (RunState.FAILED, "container_exit")
    assert "exit code 3" in run.error_detail
    step = run.steps.get(phase="train", window=1)
    assert (step.state, step.attempts) == (StepState.FAILED, 1)
    assert "training 1" in step.log_tail
    assert run.steps.get(phase="predict", window=0).state == StepState.SUCCEEDED
    assert run.steps.get(phase="predict", window=1).state == StepState.CANCELLED
    assert fine.runs.get().state == RunState.SUCCEEDED


def test_what_is_no_image_archive_is_rejected_with_its_code(benchmark: Benchmark, tmp_path: Path) -> None:
    junk = tmp_path / "junk.tar"
    junk.write_bytes(b"no archive" * 1000)
    submission = submit(benchmark, junk, "junk")
    work_off("w1")
    submission.refresh_from_db()
    assert (submission.state, submission.error_code) == (SubmissionState.REJECTED, "archive_unreadable")
    assert not submission.runs.exists()


# The SDK leaves a socket that it could not connect to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_an_engine_work_waits(benchmark: Benchmark, archive: Path, settings: LazySettings) -> None:
    submission = submit(benchmark, archive, "diary")
    settings.DOCKER_HOST = "unix:///nonexistent.sock"
    assert work_off("w1") == 0
    gc.collect()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.CHECKING
    assert Submission.objects.get(pk=submission.pk).attempts == 0
