"""Runs and their steps: planning, going on, ending, and the first contacts of arrivals.

Every transaction here locks the run before its steps, so no two of them can deadlock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from leaderboard.models import Edition, Event, Run, Step, Submission, Unit
from leaderboard.queue import wake_workers
from leaderboard.services.boards import board_touch
from leaderboard.services.entry_news import tell_met, tell_run
from leaderboard.services.moves import FREE, SERVER, move
from protocols import plan
from protocols.contract import Phase
from protocols.errors import TidemarkError
from protocols.states import ACTIVE_RUN, LIVE_RUN, RunState, StepState, SubmissionState

ENDED = (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)


def run_create(submission: Submission, edition: Edition, *, seed: int) -> Run:
    """Plan a submission's steps on an edition. Calling it again returns the same run."""
    with transaction.atomic():
        run, created = Run.objects.get_or_create(submission=submission, edition=edition, seed=seed)
        if created:
            phases = submission.phases
            Step.objects.bulk_create(
                Step(
                    run=run,
                    phase=planned.phase,
                    window=planned.window,
                    gpus=edition.benchmark.budget(planned.phase).gpus,
                )
                for planned in plan.plan(phases, edition.windows.count())
            )
            advance(run)
    return run


def arrival_steps(edition: Edition, unit: Unit) -> list[Step]:
    """Let every active detector of ``edition`` predict a newcomer with its last checkpoint.

    A run that is still training meets it as soon as its last window is trained. Runs that
    failed or were cancelled have no last checkpoint. Calling it again makes nothing twice.
    The caller holds the benchmark's lock.
    """
    last = edition.windows.count() - 1
    met = Step.objects.filter(run__edition=edition, unit=unit).values("run")
    # In the order of keys, so that no two transactions can wait for each other's rows.
    runs = (
        Run.objects.select_for_update(of=("self",))
        .filter(edition=edition, state__in=ACTIVE_RUN, submission__state=SubmissionState.ACCEPTED)
        .filter(submission__null_row="")
        .exclude(pk__in=met)
        .select_related("submission", "edition__benchmark")
        .order_by("pk")
    )
    gpus = edition.benchmark.budget(Phase.PREDICT).gpus
    steps = [
        Step(run=run, phase=Phase.PREDICT, window=last, unit=unit, gpus=gpus, **_start(run, last))
        for run in runs
    ]
    Step.objects.bulk_create(steps)
    Event.objects.bulk_create(
        Event(step=step, old="", new=step.state, actor=SERVER, reason=f"{unit.generator} arrived.")
        for step in steps
    )
    wake_workers()
    return steps


def _start(run: Run, window: int) -> dict[str, Any]:
    """The state and the keys that a prediction after training on ``window`` begins with."""
    parent_state: str | None = plan.EMPTY_STATE
    if Phase.TRAIN in run.submission.phases:
        trained = run.steps.filter(phase=Phase.TRAIN, window=window, state=StepState.SUCCEEDED).first()
        parent_state = trained.state_hash if trained else None
    if parent_state is None:
        return {"state": StepState.WAITING}
    return {"state": StepState.READY, **_readiness(run, Phase.PREDICT, window, parent_state)}


def _readiness(run: Run, phase: str, window: int, parent_state: str) -> dict[str, Any]:
    """What a step gets when it becomes ready: its key, the state that it scores, the time."""
    fields: dict[str, Any] = {"key": _key(run, phase, window, parent_state), "ready_at": timezone.now()}
    if phase == Phase.PREDICT:
        fields["state_hash"] = parent_state
    return fields


def _key(run: Run, phase: str, window: int, parent_state: str) -> str:
    image_id = run.submission.image_id
    benchmark = run.edition.benchmark
    if phase == Phase.PREDICT:
        return plan.state_key(
            image_id=image_id, protocol_version=benchmark.protocol_version, state=parent_state, seed=run.seed
        )
    manifests = dict(run.edition.windows.values_list("index", "manifest"))
    return plan.train_key(
        image_id=image_id,
        protocol_version=benchmark.protocol_version,
        parent_state=parent_state,
        manifests=[manifests[w] for w in plan.mounted_windows(benchmark.training_mode, window)],
        window=window,
        seed=run.seed,
    )


def advance(run: Run) -> None:
    """Make every step ready whose parent has succeeded, and end the run when all steps have ended.

    Running it twice changes nothing; the sweeper calls it for every live run.
    """
    with transaction.atomic():
        run = (
            Run.objects.select_for_update(of=("self",))
            .select_related("submission", "edition__benchmark")
            .get(pk=run.pk)
        )
        if run.state not in LIVE_RUN:
            return
        steps = list(run.steps.all())
        trainings = {step.window: step for step in steps if step.phase == Phase.TRAIN}
        for step in steps:
            if step.state != StepState.WAITING:
                continue
            parent = trainings.get(step.window - 1 if step.phase == Phase.TRAIN else step.window)
            if parent is not None and parent.state != StepState.SUCCEEDED:
                continue
            parent_state = parent.state_hash if parent else plan.EMPTY_STATE
            move(step, StepState.READY, **_readiness(run, step.phase, step.window, parent_state))
            wake_workers()
        # Arrivals are the board's: a run has ended without them.
        states = {step.state for step in steps if step.unit_id is None}
        if states <= set(ENDED):
            _end(run, states)


def _end(run: Run, states: set[str]) -> None:
    now = timezone.now()
    if run.cancel_requested:
        move(run, RunState.CANCELLED, reason="Cancelled on request.", finished_at=now)
    elif states == {StepState.SUCCEEDED}:
        move(run, RunState.SUCCEEDED, finished_at=now)
    else:
        return
    _settle(run.edition)


def _settle(edition: Edition) -> None:
    """The board shows an edition as soon as all runs that it began with have ended, well or badly."""
    began = edition.runs.filter(created_at__lte=edition.opened_at) if edition.opened_at else edition.runs
    if edition.settled_at is None and not began.filter(state__in=LIVE_RUN).exists():
        edition.settled_at = timezone.now()
        edition.save(update_fields=["settled_at"])
        board_touch(edition.benchmark_id)


def step_succeed(step: Step, **fields: Any) -> None:
    """End a step well and make its children ready. The caller has fenced the step in this transaction."""
    move(
        step,
        StepState.SUCCEEDED,
        actor=step.leased_by,
        **FREE,
        progress=1.0,
        activity="",
        error_code="",
        error_detail="",
        finished_at=timezone.now(),
        **fields,
    )
    _spend(step, fields)
    advance(step.run)


def step_fail(step: Step, error: TidemarkError, **fields: Any) -> None:
    """End a step badly: the run fails with the reason, waiting steps are cancelled, running ones may finish.

    A first contact that fails is missing, and nothing else: the run stays what it is. The
    caller has fenced the step in this transaction.
    """
    now = timezone.now()
    move(
        step,
        StepState.FAILED,
        actor=step.leased_by,
        reason=str(error),
        **FREE,
        activity="",
        error_code=error.code,
        error_detail=error.detail,
        finished_at=now,
        **fields,
    )
    _spend(step, fields)
    if step.unit_id is not None:
        tell_met(step)
        return
    run = step.run
    for other in run.steps.filter(state__in=(StepState.WAITING, StepState.READY)):
        move(other, StepState.CANCELLED, reason=f"{step} failed.", finished_at=now)
    if run.state in LIVE_RUN:
        move(
            run,
            RunState.FAILED,
            reason=str(error),
            error_code=error.code,
            error_detail=f"{step.phase} at window {step.window}: {error.detail}",
            finished_at=now,
        )
        tell_run(run)
        _settle(run.edition)


def _spend(step: Step, fields: Mapping[str, Any]) -> None:
    """Count the container seconds of training towards the budget of the edition."""
    seconds = fields.get("timings", {}).get("container", 0.0)
    if step.phase == Phase.TRAIN and seconds:
        Edition.objects.filter(pk=step.run.edition_id).update(spent_s=F("spent_s") + seconds)


def step_cancel(step: Step) -> None:
    """End a step that its worker stopped because the run was cancelled. The caller has fenced it."""
    move(
        step,
        StepState.CANCELLED,
        actor=step.leased_by,
        reason="The run was cancelled.",
        **FREE,
        activity="",
        finished_at=timezone.now(),
    )
    advance(step.run)


def run_retry(run: Run, *, actor: object) -> None:
    """Take up a run that failed where it stopped: what succeeded stays, the rest waits for its turn again."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        again = {"error_code": "", "error_detail": "", "finished_at": None}
        move(run, RunState.QUEUED, actor=actor, reason="Tried again.", **again)
        for step in run.steps.filter(unit=None, state__in=(StepState.FAILED, StepState.CANCELLED)):
            move(
                step,
                StepState.WAITING,
                actor=actor,
                reason="Tried again.",
                attempts=0,
                not_before=None,
                started_at=None,
                progress=0.0,
                **again,
            )
        advance(run)


def arrivals_cancel(submission: Submission, *, actor: object) -> None:
    """Let a submission meet no newcomer any more; what is running may finish."""
    waiting = Step.objects.filter(
        run__submission=submission, unit__isnull=False, state__in=(StepState.WAITING, StepState.READY)
    )
    for step in waiting:
        move(
            step,
            StepState.CANCELLED,
            actor=actor,
            reason="The entry was withdrawn.",
            finished_at=timezone.now(),
        )


def run_cancel(run: Run, *, actor: object) -> None:
    """Ask a run to stop: what waits is cancelled at once, what runs is stopped by its worker."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if run.state not in LIVE_RUN or run.cancel_requested:
            return
        run.cancel_requested = True
        run.save(update_fields=["cancel_requested"])
        for step in run.steps.filter(state__in=(StepState.WAITING, StepState.READY)):
            move(
                step,
                StepState.CANCELLED,
                actor=actor,
                reason="The run was cancelled.",
                finished_at=timezone.now(),
            )
        advance(run)
