"""Trials in real containers: what passes, what fails in which phase, and what its author gets to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protocols.contract import Budget, Phase
from sandbox.limits import Lease
from sandbox.trial import KEPT_LOG_BYTES, PhaseReport, Trial, TrialReport, run_trial
from tests.engines import Running
from tests.sandbox.stage import BUDGET, INSTANCE, containers
from tests.sandbox.trials import Behaviour, forget_image, make_trial_image

pytestmark = pytest.mark.container

MIB = 1 << 20
BOTH = (Phase.TRAIN, Phase.PREDICT)


@pytest.fixture
def image_id(podman: Running) -> Iterator[str]:
    name = "localhost/tidemark/test-trial"
    yield make_trial_image(podman.client, podman.image_id, name)
    forget_image(podman.client, name)


Try = Callable[..., TrialReport]


@pytest.fixture
def try_(podman: Running, image_id: str, tmp_path: Path) -> Iterator[Try]:
    """Tries the detector with a behaviour, and looks that nothing is left of it but the folder."""

    def run(
        behaviour: Behaviour,
        *,
        phases: tuple[Phase, ...] = BOTH,
        budget: Callable[[Phase], Budget] = lambda _: BUDGET,
        timeout_s: float = 60,
        should_stop: Callable[[], str | None] = lambda: None,
    ) -> TrialReport:
        lease = Lease(INSTANCE, "trial-x", 1, "worker-1")
        trial = Trial(
            podman.client,
            podman.engine,
            image_id,
            phases,
            budget,
            lease,
            seed=behaviour,
            timeout_s=timeout_s,
        )
        return run_trial(trial, tmp_path, on_progress=progress.append_pair, should_stop=should_stop)

    progress = Shown()
    yield run
    assert containers(podman.client) == []
    assert all(0 <= share <= 1 for _, share in progress.shares)


class Shown:
    def __init__(self) -> None:
        self.shares: list[tuple[Phase, float]] = []

    def append_pair(self, phase: Phase, share: float) -> None:
        self.shares.append((phase, share))


def of(report: TrialReport, phase: Phase) -> PhaseReport:
    (found,) = [each for each in report.phases if each.phase is phase]
    return found


def code(report: TrialReport) -> str | None:
    return report.error.code if report.error else None


def test_a_detector_that_works(try_: Try, tmp_path: Path) -> None:
    report = try_(Behaviour.WORKS)
    assert (report.passed, report.stopped, code(report)) == (True, None, None), report
    train, predict = report.phases
    assert (train.phase, train.exit_code, train.error) == (Phase.TRAIN, 0, None)
    assert train.log == 'train begins\n{"progress": 0.5}\ntrain is done\n'
    # The state comes as it does between steps: with its folders, and executable where it was.
    assert "state: ['head', 'tool'] True" in predict.log
    assert predict.log.endswith("predict is done\n")
    assert predict.log_bytes == len(predict.log)
    assert 0 < train.seconds < 30
    assert train.peak_memory_bytes is not None
    assert MIB < train.peak_memory_bytes <= BUDGET.memory_bytes


def test_a_detector_that_only_predicts(try_: Try) -> None:
    report = try_(Behaviour.WORKS, phases=(Phase.PREDICT,))
    assert [each.phase for each in report.phases] == [Phase.PREDICT]
    # It looks into its state, which is empty.
    assert "state: [] False" in report.phases[0].log
    assert report.passed


def test_a_failure_in_training_is_told_in_full_and_ends_the_trial(try_: Try) -> None:
    report = try_(Behaviour.FAILS_IN_TRAINING)
    (train,) = report.phases
    assert (code(report), train.exit_code) == ("container_exit", 1)
    assert train.log.startswith("train begins\n")
    assert "Traceback (most recent call last)" in train.log
    assert train.log.endswith("ValueError: no such layer: sample head\n")
    assert not report.passed


def test_a_failure_in_prediction_is_told_in_full_too(try_: Try) -> None:
    """The images are public, so what a prediction prints may be read."""
    report = try_(Behaviour.FAILS_IN_PREDICTION)
    assert of(report, Phase.TRAIN).error is None
    predict = of(report, Phase.PREDICT)
    assert code(report) == "container_exit"
    assert "ValueError" in str(report.error)
    assert predict.log.endswith("ValueError: no such layer: sample tail\n")


@pytest.mark.parametrize("behaviour", [Behaviour.HANGS_IN_TRAINING, Behaviour.HANGS_IN_PREDICTION])
def test_what_hangs_is_stopped_at_the_trials_own_limit(try_: Try, behaviour: Behaviour) -> None:
    started = time.monotonic()
    report = try_(behaviour, timeout_s=4)
    assert time.monotonic() - started < 30
    assert code(report) == "container_timeout"
    assert report.error is not None
    assert "4 s" in report.error.detail
    assert "begins" in report.phases[-1].log


def test_a_state_that_no_step_would_keep(try_: Try) -> None:
    assert code(try_(Behaviour.LEAVES_A_LINK)) == "state_irregular"


def test_predictions_that_no_step_would_take(try_: Try) -> None:
    report = try_(Behaviour.FORGETS_AN_IMAGE)
    assert code(report) == "predictions_incomplete"
    # Here the message may name an image.
    assert "1 of 24 are missing" in str(report.error)


def test_of_a_long_log_the_beginning_and_the_end_are_kept(try_: Try) -> None:
    from dataclasses import replace

    report = try_(Behaviour.PRINTS_MUCH, budget=lambda _: replace(BUDGET, log_bytes=4 * MIB))
    train = of(report, Phase.TRAIN)
    assert report.passed
    assert train.log_bytes > 500_000
    assert train.log.startswith("train begins\n")
    assert train.log.endswith("train is done\n")
    assert f"{train.log_bytes - 2 * KEPT_LOG_BYTES} bytes of the output are left out" in train.log
    assert len(train.log) < 2 * KEPT_LOG_BYTES + 100


def test_the_peak_of_memory_is_seen(try_: Try) -> None:
    train = of(try_(Behaviour.EATS_MEMORY), Phase.TRAIN)
    assert train.peak_memory_bytes is not None
    assert 64 * MIB < train.peak_memory_bytes < 128 * MIB


def test_the_benchmarks_budget_holds(try_: Try) -> None:
    from dataclasses import replace

    report = try_(Behaviour.EATS_MEMORY, budget=lambda _: replace(BUDGET, memory_bytes=32 * MIB))
    assert code(report) == "container_oom"


def test_a_trial_that_is_stopped(try_: Try) -> None:
    deadline = time.monotonic() + 3
    report = try_(
        Behaviour.HANGS_IN_TRAINING,
        should_stop=lambda: "shutdown" if time.monotonic() > deadline else None,
    )
    assert (report.stopped, report.passed, report.error) == ("shutdown", False, None)
