"""One step from claim to score: prepare and stage the data, run the container, read what it left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import structlog
from django.conf import settings
from django.db import transaction
from numpy.typing import NDArray

from evaluator.data.evaluation import ensure_eval_set
from evaluator.data.progress import Progress
from evaluator.data.snapshots import restore_state, save_state
from evaluator.data.staging import stage_eval, stage_train
from evaluator.data.training import ensure_training_window
from evaluator.lease import Lease, Stopped, with_database
from evaluator.worker import Worker
from evaluator.workplace import workplace
from leaderboard.models import Checkpoint, Prediction, Step, Unit
from leaderboard.services.entry_news import tell_met, tell_run
from leaderboard.services.leases import fence
from leaderboard.services.runs import step_succeed
from leaderboard.services.scores import run_score, stale_if_withdrawn, stored_scores, window_score
from leaderboard.store import store
from protocols.contract import Phase, StepRequest
from protocols.errors import ParticipantError, PlatformError
from protocols.plan import EMPTY_STATE, mounted_windows
from sandbox.images import ensure_image
from sandbox.limits import ContainerSpec
from sandbox.limits import Lease as ContainerLease
from sandbox.outcome import outcome, seal
from sandbox.output import read_predictions
from sandbox.place import make_place
from sandbox.runner import run

log = structlog.get_logger(__name__)

Scores = NDArray[np.float64]


def run_step(step: Step, lease: Lease[Step], worker: Worker) -> None:
    """Do a claimed step. A result that is there already under the step's key is taken as it is.

    Raises ``ParticipantError`` for what the container did, ``PlatformError`` for what we
    did, ``Stopped`` when the step must not go on.
    """
    if step.phase == Phase.TRAIN:
        _train(step, lease, worker)
    else:
        _predict(step, lease, worker)


@contextmanager
def _timed(step: Step, part: str) -> Iterator[None]:
    """Record the seconds of a part of the step."""
    start = time.monotonic()
    try:
        yield
    finally:
        step.timings[part] = _seconds(step, time.monotonic() - start)


def _seconds(step: Step, seconds: float) -> float:
    """As long as a part took, to be kept with the step.

    How long a prediction takes is of the container's choice, and others read it: whole seconds do.
    """
    return round(seconds, 3) if step.phase == Phase.TRAIN else float(round(seconds))


def _preparing(lease: Lease[Step]) -> Progress:
    """Show how far shared data are that this step happens to be the first to need; it can be stopped here."""

    def report(share: float, activity: str) -> None:
        lease.check()
        lease.report(share, activity)

    return report


def _train(step: Step, lease: Lease[Step], worker: Worker) -> None:
    checkpoint = Checkpoint.objects.filter(key=step.key).first()
    if checkpoint is not None:
        _succeed_training(step, checkpoint.state_hash, checkpoint.size_bytes, reused=True)
        return
    edition = step.run.edition
    windows = {window.index: window for window in edition.windows.all()}
    mounted = [windows[k] for k in mounted_windows(edition.benchmark.training_mode, step.window)]
    with workplace(f"step-{step.pk}", step.lease_token or 0) as folder:
        with _timed(step, "prepare"):
            sets = [ensure_training_window(window, _preparing(lease)) for window in mounted]
        with _timed(step, "stage"):
            lease.report(0.0, "staging data")
            stage_train(folder / "data", sets)
            parent = step.run.steps.filter(phase=Phase.TRAIN, window=step.window - 1).first()
            state = folder / "state"
            n_state_files = restore_state(parent.state_hash if parent else EMPTY_STATE, state, writable=True)
        _run_container(step, lease, worker, folder, n_images=sum(window.n_images for window in mounted))
        with _timed(step, "collect"):
            lease.report(1.0, "keeping the state")
            state_hash, size_bytes = save_state(
                state, edition.benchmark.budget(Phase.TRAIN), had_state=n_state_files > 0
            )
    _succeed_training(step, state_hash, size_bytes, reused=False)


def _succeed_training(step: Step, state_hash: str, size_bytes: int, *, reused: bool) -> None:
    def write() -> None:
        with transaction.atomic():
            fence(step)
            Checkpoint.objects.get_or_create(
                key=step.key, defaults={"state_hash": state_hash, "size_bytes": size_bytes}
            )
            step_succeed(
                step, state_hash=state_hash, reused=reused, timings=step.timings, log_tail=step.log_tail
            )

    with_database(write)


def _predict(step: Step, lease: Lease[Step], worker: Worker) -> None:
    edition = step.run.edition
    # A withdrawn generator's images are shown to nobody any more.
    units = list(edition.units.filter(generator__withdrawn_at=None).select_related("generator"))
    scores = stored_scores(step.key, units)
    wanted = units if step.unit is None else [step.unit]
    missing = [unit for unit in wanted if unit.pk not in scores and not unit.generator.is_withdrawn]
    if missing:
        scores |= _predict_units(step, lease, worker, missing)
    with _timed(step, "score"):
        lease.report(1.0, "scoring")
        known = {unit: scores[unit.pk] for unit in units if unit.pk in scores}
        window = window_score(edition, step.window, known)

    def write() -> None:
        with transaction.atomic():
            fence(step)
            Prediction.objects.bulk_create(
                (
                    Prediction(state_key=step.key, unit=unit, scores=scores[unit.pk].tobytes(), step=step)
                    for unit in missing
                ),
                ignore_conflicts=True,
            )
            window.save(step.run, step.key)
            step_succeed(step, reused=not missing, timings=step.timings, log_tail=step.log_tail)
            run_score(step.run)
            if step.unit is None:
                # Not before the scores are there, which are the news.
                tell_run(step.run)
            else:
                tell_met(step)
            stale_if_withdrawn(step.run, known)

    with_database(write)


def _predict_units(step: Step, lease: Lease[Step], worker: Worker, units: list[Unit]) -> dict[int, Scores]:
    """Scores of the given units by unit, from one container that sees all their images mixed."""
    with workplace(f"step-{step.pk}", step.lease_token or 0) as folder:
        with _timed(step, "prepare"):
            images = ensure_eval_set(units, _preparing(lease))
        with _timed(step, "stage"):
            lease.report(0.0, "staging data")
            stage_eval(folder / "data", images)
            restore_state(step.state_hash, folder / "state", writable=False)
        ids = {unit.pk: images.image_ids(unit) for unit in units}
        _run_container(step, lease, worker, folder, n_images=sum(map(len, ids.values())))
        with _timed(step, "collect"):
            lease.report(1.0, "reading predictions")
            flat = _predictions(
                step, folder / "output", [image_id for unit_ids in ids.values() for image_id in unit_ids]
            )
    ends = np.cumsum([len(unit_ids) for unit_ids in ids.values()])
    return dict(zip(ids, np.split(flat, ends[:-1]), strict=True))


def _predictions(step: Step, output: Path, image_ids: list[str]) -> Scores:
    """What a prediction left, or an error that quotes nothing of it: it may be made of evaluation images.

    Maintainers find the whole story in the log.
    """
    try:
        return read_predictions(output, image_ids, step.run.edition.benchmark.budget(Phase.PREDICT))
    except ParticipantError as error:
        log.info("withheld", step=step.pk, code=error.code, detail=error.detail)
        raise seal(error) from None
    except Exception:
        log.exception("withheld", step=step.pk)
        raise PlatformError("internal", "The predictions could not be read.") from None


def _run_container(step: Step, lease: Lease[Step], worker: Worker, folder: Path, *, n_images: int) -> None:
    """Run one phase over the staged folder. Raises what the outcome says, ``Stopped`` on a stop."""
    submission, benchmark = step.run.submission, step.run.edition.benchmark
    phase = Phase(step.phase)
    budget = benchmark.budget(phase)
    with _timed(step, "load"):
        lease.report(0.0, "loading the image")
        ensure_image(worker.client, store().path(submission.archive), submission.image_id)
    lease.check()
    request = StepRequest(
        phase=phase,
        window=step.window,
        seed=step.run.seed,
        benchmark=benchmark.slug,
        n_images=n_images,
        budget=budget,
    )
    request_file, output = make_place(folder, request)
    spec = ContainerSpec(
        image_id=submission.image_id,
        phase=phase,
        data=folder / "data",
        request=request_file,
        state=folder / "state",
        output=output,
        budget=budget,
        lease=ContainerLease(settings.INSTANCE, str(step.pk), step.lease_token or 0, worker.name),
        gpus=worker.gpus[: budget.gpus],
        runtime=settings.CONTAINER_RUNTIME or None,
    )
    activity = "training" if phase is Phase.TRAIN else "predicting"
    lease.report(0.0, activity)
    start = time.monotonic()
    ended = run(
        worker.client,
        worker.engine,
        spec,
        on_progress=lambda share: lease.report(share, activity),
        should_stop=lease.stop_reason,
    )
    # What the engine took besides: creating, starting and removing the container.
    step.timings["container"] = _seconds(step, ended.duration_s)
    step.timings["engine"] = _seconds(step, time.monotonic() - start - ended.duration_s)
    # What a predict phase prints may be made of evaluation images, so nobody gets to read it.
    step.log_tail = ended.log_tail if phase is Phase.TRAIN else ""
    if ended.stopped:
        raise Stopped(ended.stopped)
    if error := outcome(ended, budget, sealed=phase is Phase.PREDICT):
        if phase is Phase.PREDICT:
            log.info("withheld", step=step.pk, code=error.code, exit_code=ended.exit_code)
        raise error
