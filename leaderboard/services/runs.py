"""Runs and their steps: planning, going on, ending.

Every transaction here locks the run before its steps, so no two of them can deadlock.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Edition, Run, Step, Submission
from leaderboard.queue import wake_workers
from leaderboard.services.moves import FREE, move
from protocols import plan
from protocols.contract import Phase
from protocols.errors import TidemarkError
from protocols.states import RunState, StepState

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


def _key(run: Run, step: Step, parent_state: str) -> str:
    image_id = run.submission.image_id
    benchmark = run.edition.benchmark
    if step.phase == Phase.PREDICT:
        return plan.state_key(
            image_id=image_id, protocol_version=benchmark.protocol_version, state=parent_state, seed=run.seed
        )
    manifests = dict(run.edition.windows.values_list("index", "manifest"))
    return plan.train_key(
        image_id=image_id,
        protocol_version=benchmark.protocol_version,
        parent_state=parent_state,
        manifests=[manifests[w] for w in plan.mounted_windows(benchmark.training_mode, step.window)],
        window=step.window,
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
        if run.state not in (RunState.QUEUED, RunState.RUNNING):
            return
        steps = {(step.phase, step.window): step for step in run.steps.all()}
        trains = Phase.TRAIN in run.submission.phases
        for step in steps.values():
            if step.state != StepState.WAITING:
                continue
            if step.phase == Phase.TRAIN:
                parent = steps.get((Phase.TRAIN, step.window - 1))
            else:
                parent = steps[Phase.TRAIN, step.window] if trains else None
            if parent is not None and parent.state != StepState.SUCCEEDED:
                continue
            parent_state = parent.state_hash if parent else plan.EMPTY_STATE
            fields: dict[str, Any] = {"key": _key(run, step, parent_state), "ready_at": timezone.now()}
            if step.phase == Phase.PREDICT:
                fields["state_hash"] = parent_state
            move(step, StepState.READY, **fields)
            wake_workers()
        states = {step.state for step in steps.values()}
        if states <= set(ENDED):
            _end(run, states)


def _end(run: Run, states: set[str]) -> None:
    now = timezone.now()
    if run.cancel_requested:
        move(run, RunState.CANCELLED, reason="Cancelled on request.", finished_at=now)
    elif states == {StepState.SUCCEEDED}:
        move(run, RunState.SUCCEEDED, finished_at=now)


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
    advance(step.run)


def step_fail(step: Step, error: TidemarkError, **fields: Any) -> None:
    """End a step badly: the run fails with the reason, waiting steps are cancelled, running ones may finish.

    The caller has fenced the step in this transaction.
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
    run = step.run
    for other in run.steps.filter(state__in=(StepState.WAITING, StepState.READY)):
        move(other, StepState.CANCELLED, reason=f"{step} failed.", finished_at=now)
    if run.state in (RunState.QUEUED, RunState.RUNNING):
        move(
            run,
            RunState.FAILED,
            reason=str(error),
            error_code=error.code,
            error_detail=f"{step.phase} at window {step.window}: {error.detail}",
            finished_at=now,
        )


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


def run_cancel(run: Run, *, actor: object) -> None:
    """Ask a run to stop: what waits is cancelled at once, what runs is stopped by its worker."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if run.state not in (RunState.QUEUED, RunState.RUNNING) or run.cancel_requested:
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
