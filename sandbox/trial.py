"""The trial: a detector trains and predicts once on the public sample, in the sandbox as it will be.

The same runner with the same flags and the same checks as for a step; the images are public, so the
whole log may be shown. A worker does it before a submission is accepted, ``tidemark try`` wherever
its user likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from docker.client import DockerClient

from protocols.contract import Budget, Phase, StepRequest
from protocols.errors import ParticipantError, PlatformError
from sandbox.engine import Engine
from sandbox.limits import ContainerSpec, Lease
from sandbox.outcome import outcome
from sandbox.output import read_predictions, read_state
from sandbox.place import make_place
from sandbox.runner import Ended, run
from sandbox.sample import write_eval, write_train
from sandbox.tree import FileEntry, copy_file

TIMEOUT_S = 300.0
# Of the beginning and of the end of what a phase prints: all of it, unless it prints very much.
KEPT_LOG_BYTES = 128 * 1024


@dataclass(frozen=True)
class PhaseReport:
    """How one phase went: ``error`` is None when it did what the contract asks for."""

    phase: Phase
    seconds: float
    exit_code: int | None
    log: str
    log_bytes: int
    peak_memory_bytes: int | None
    error: ParticipantError | PlatformError | None


@dataclass(frozen=True)
class TrialReport:
    """The phases that ran, in their order, and the caller's reason to stop, if it did."""

    phases: tuple[PhaseReport, ...]
    stopped: str | None = None

    @property
    def error(self) -> ParticipantError | PlatformError | None:
        """Why the trial failed; None when it passed, or was stopped before it could fail."""
        return next((report.error for report in self.phases if report.error), None)

    @property
    def passed(self) -> bool:
        return self.stopped is None and self.error is None


@dataclass(frozen=True)
class Trial:
    """What is tried, on what, and by whose claim. ``budget_of`` gives a phase what the benchmark grants."""

    client: DockerClient
    engine: Engine
    image_id: str
    phases: Sequence[Phase]
    budget_of: Callable[[Phase], Budget]
    lease: Lease
    benchmark: str = "trial"
    seed: int = 0
    gpus: tuple[str, ...] = ()
    runtime: str | None = None
    timeout_s: float = TIMEOUT_S

    def budget(self, phase: Phase) -> Budget:
        """The benchmark's bounds, and no more time than a trial takes."""
        granted = self.budget_of(phase)
        return replace(granted, timeout_s=min(granted.timeout_s, self.timeout_s))


def run_trial(
    trial: Trial,
    folder: Path,
    *,
    on_progress: Callable[[Phase, float], None],
    should_stop: Callable[[], str | None],
) -> TrialReport:
    """Train on the sample, if the image trains, and predict with the state that this left.

    ``folder`` is empty and the caller's to remove, as it may hold anything in the end. A phase after one
    that failed does not run. Raises ``PlatformError`` when the engine fails.
    """
    reports: list[PhaseReport] = []
    before: _Place | None = None
    for phase in (Phase.TRAIN, Phase.PREDICT):
        if phase not in trial.phases:
            continue
        place = _prepare(trial, folder / phase.value, phase, before)
        on_progress(phase, 0.0)
        report, stopped = _run_phase(trial, place, on_progress, should_stop)
        if stopped:
            return TrialReport(tuple(reports), stopped)
        reports.append(report)
        if report.error:
            break
        before = place
    return TrialReport(tuple(reports))


@dataclass(frozen=True)
class _Place:
    """Where one phase runs; ``image_ids`` are what a prediction has to score."""

    spec: ContainerSpec
    image_ids: tuple[str, ...]


def _prepare(trial: Trial, folder: Path, phase: Phase, before: _Place | None) -> _Place:
    folder.mkdir(mode=0o700)
    image_ids: list[str] = []
    if phase is Phase.TRAIN:
        n_images = write_train(folder / "data")
    else:
        image_ids = write_eval(folder / "data")
        n_images = len(image_ids)
    budget = trial.budget(phase)
    request = StepRequest(phase, 0, trial.seed, trial.benchmark, n_images, budget)
    request_file, output = make_place(folder, request)
    _open_folder(folder / "state")
    if before is not None:
        _copy_state(before.spec.state, _state_of(before), folder / "state")
    spec = ContainerSpec(
        image_id=trial.image_id,
        phase=phase,
        data=folder / "data",
        request=request_file,
        state=folder / "state",
        output=output,
        budget=budget,
        lease=trial.lease,
        gpus=trial.gpus[: budget.gpus],
        runtime=trial.runtime,
    )
    return _Place(spec, tuple(image_ids))


def _run_phase(
    trial: Trial,
    place: _Place,
    on_progress: Callable[[Phase, float], None],
    should_stop: Callable[[], str | None],
) -> tuple[PhaseReport, str | None]:
    """How the phase went, and why the caller stopped it, if it did."""
    phase = place.spec.phase
    started = time.monotonic()
    ended = run(
        trial.client,
        trial.engine,
        place.spec,
        on_progress=lambda share: on_progress(phase, share),
        should_stop=should_stop,
        kept_log_bytes=KEPT_LOG_BYTES,
    )
    error = None if ended.stopped else _error(place, ended)
    report = PhaseReport(
        phase=phase,
        seconds=round(time.monotonic() - started, 3),
        exit_code=ended.exit_code,
        log=ended.log,
        log_bytes=ended.log_bytes,
        peak_memory_bytes=ended.peak_memory_bytes,
        error=error,
    )
    return report, ended.stopped


def _error(place: _Place, ended: Ended) -> ParticipantError | PlatformError | None:
    """What a step would record: how the container ended, and then what it left."""
    if error := outcome(ended, place.spec.budget):
        return error
    try:
        if place.spec.phase is Phase.TRAIN:
            _state_of(place)
        else:
            read_predictions(place.spec.output, place.image_ids, place.spec.budget)
    except ParticipantError as error:
        return error
    return None


def _state_of(place: _Place) -> list[FileEntry]:
    return read_state(place.spec.state, place.spec.budget, had_state=False)


def _copy_state(source: Path, files: list[FileEntry], destination: Path) -> None:
    """Lay out a state as it is kept between steps: plain files, executable or not, and nothing else."""
    for file in files:
        target = destination / file.path
        for folder in reversed(target.relative_to(destination).parents[:-1]):
            _open_folder(destination / folder)
        copy_file(source, file, target, "state")
        target.chmod(0o755 if file.mode & 0o111 else 0o644)


def _open_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
