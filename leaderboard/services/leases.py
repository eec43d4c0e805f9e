"""Leases: which worker holds which piece of work, until when, and with which fencing token.

Three kinds of work are leased: steps, submissions whose archive is being checked, and
batches whose images are being checked. A claim takes a token from a database sequence;
only its holder may renew, complete or release, so the late result of a worker that was
given up for dead is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from leaderboard.models import Batch, Run, Step, Submission, Team
from leaderboard.queue import wake_workers
from leaderboard.selectors.waiting import in_turn, trials_in_turn
from leaderboard.services import runs
from leaderboard.services.entry_news import tell_rejected
from leaderboard.services.moves import FREE, move
from protocols.contract import Phase
from protocols.errors import PlatformError, TidemarkError
from protocols.states import CHECKED, BatchState, RunState, StepState, SubmissionState

Work = TypeVar("Work", Step, Submission, Batch)
Check = TypeVar("Check", Submission, Batch)

# The states in which a piece of work may be held.
HELD: dict[type, tuple[str, ...]] = {
    Step: (StepState.RUNNING,),
    Submission: CHECKED,
    Batch: (BatchState.CHECKING,),
}
# How many candidates one claim looks at before it leaves the rest to the next wake-up.
CANDIDATES = 20


def _lease(worker: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('leaderboard_lease_token')")
        (token,) = cursor.fetchone()
    return {
        "lease_token": int(token),
        "lease_expires_at": timezone.now() + timedelta(seconds=settings.LEASE_S),
        "leased_by": worker[:200],
    }


def _due() -> models.Q:
    return models.Q(not_before__isnull=True) | models.Q(not_before__lte=timezone.now())


def claimable_steps(gpus: int) -> models.QuerySet[Step]:
    """The ready steps that are due and that ``gpus`` GPUs suffice for.

    A step whose key is being computed by another step is left until that one is done,
    so that nothing is computed twice. Training waits while the budget of its edition is spent.
    """
    twin = Step.objects.filter(key=models.OuterRef("key"), state=StepState.RUNNING)
    spent = models.Q(
        phase=Phase.TRAIN,
        run__edition__budget_s__isnull=False,
        run__edition__spent_s__gte=models.F("run__edition__budget_s"),
    )
    ready = Step.objects.filter(_due(), state=StepState.READY, gpus__lte=gpus)
    return ready.exclude(models.Exists(twin)).exclude(spent)


def claim_step(worker: str, gpus: int = 0) -> Step | None:
    """Take the next step of the queue, or return ``None`` when there is none to claim."""
    for step_id, run_id in in_turn(claimable_steps(gpus)).values_list("id", "run_id")[:CANDIDATES]:
        try:
            with transaction.atomic():
                run = Run.objects.select_for_update(of=("self",)).get(pk=run_id)
                step = (
                    claimable_steps(gpus)
                    .select_for_update(skip_locked=True, of=("self",))
                    .filter(pk=step_id)
                    .first()
                )
                if step is None:
                    continue
                move(
                    step,
                    StepState.RUNNING,
                    actor=worker,
                    **_lease(worker),
                    attempts=step.attempts + 1,
                    progress=0.0,
                    activity="starting",
                    started_at=timezone.now(),
                    log_tail="",
                )
                if run.state == RunState.QUEUED:
                    move(run, RunState.RUNNING, actor=worker, started_at=run.started_at or timezone.now())
                Team.objects.filter(submissions=run.submission_id).update(served_at=timezone.now())
                return step
        except IntegrityError:
            # Another worker took a step with the same key in the same instant.
            continue
    return None


def check_start(work: Check, worker: str) -> Check:
    """Begin a check in the calling process itself, as an import from a folder does, under a lease."""
    return move(work, HELD[type(work)][0], actor=worker, **_lease(worker), attempts=1, activity="starting")


def claim_check(model: type[Check], worker: str) -> Check | None:
    """Take the oldest submission or batch that waits for its check, or return ``None``."""
    return _claim_free(model._default_manager.filter(state=HELD[model][0]), worker)


def claim_trial(worker: str, gpus: int = 0) -> Submission | None:
    """Take the next submission that waits for its trial and that ``gpus`` GPUs suffice for."""
    for submission in trials_in_turn().filter(_due()).select_related("benchmark")[:CANDIDATES]:
        if submission.benchmark.gpus <= gpus:
            this = Submission.objects.filter(pk=submission.pk, state=SubmissionState.TRIAL)
            claimed = _claim_free(this, worker)
            if claimed is not None:
                return claimed
    return None


def _claim_free(free: models.QuerySet[Check], worker: str) -> Check | None:
    with transaction.atomic():
        work = (
            free.select_for_update(skip_locked=True, of=("self",))
            .filter(_due(), lease_token__isnull=True)
            .order_by("created_at")
            .first()
        )
        if work is not None:
            lease = _lease(worker) | {"attempts": work.attempts + 1, "progress": 0.0, "activity": "starting"}
            for name, value in lease.items():
                setattr(work, name, value)
            work.save(update_fields=list(lease))
        return work


def _held(work: Work) -> models.QuerySet[Work]:
    model: type[Work] = type(work)
    if work.lease_token is None:
        # Without a token in hand nothing is held; the filter below would match what nobody holds.
        return model._default_manager.none()
    return model._default_manager.filter(pk=work.pk, lease_token=work.lease_token, state__in=HELD[model])


def _lost(work: Work) -> PlatformError:
    name = f"{type(work).__name__} {work.pk}"
    return PlatformError("lease_lost", f"{name} is held by another worker or was stopped.")


def renew(work: Work, *, progress: float | None = None, activity: str | None = None) -> None:
    """Extend the lease and show progress.

    Raises ``PlatformError('lease_lost')`` when the token in hand is not the current one.
    """
    fields: dict[str, Any] = {"lease_expires_at": timezone.now() + timedelta(seconds=settings.LEASE_S)}
    if progress is not None:
        fields["progress"] = progress
    if activity is not None:
        fields["activity"] = activity[:200]
    if not _held(work).update(**fields):
        raise _lost(work)


def fence(work: Work) -> None:
    """Lock the work for this transaction and prove that the token in hand is current.

    Call it first in every transaction that writes a result. For a step the run is
    locked before it. Raises ``PlatformError('lease_lost')``.
    """
    if isinstance(work, Step):
        work.run = Run.objects.select_for_update(of=("self",)).get(pk=work.run_id)
    if _held(work).select_for_update(of=("self",)).first() is None:
        raise _lost(work)


def release(work: Work, *, reason: str, counts: bool, error: TidemarkError | None = None) -> None:
    """Give work back. With ``counts`` the attempt was a failure of the platform.

    After ``MAX_ATTEMPTS`` such failures the work fails for good with
    ``attempts_exhausted`` and the last reason; before that it is due again after a
    growing delay. Raises ``PlatformError('lease_lost')``.
    """
    with transaction.atomic():
        fence(work)
        _give_back(work, reason=reason, counts=counts, error=error)


def _give_back(work: Work, *, reason: str, counts: bool, error: TidemarkError | None = None) -> None:
    if counts and work.attempts >= settings.MAX_ATTEMPTS:
        _give_up(work, f"{error.code}: {error.detail}" if error else reason)
        return
    delay_s = settings.RETRY_DELAY_S * 2 ** (work.attempts - 1) if counts else 0.0
    fields = FREE | {
        "attempts": work.attempts if counts else work.attempts - 1,
        "not_before": timezone.now() + timedelta(seconds=delay_s),
        "progress": 0.0,
        "activity": "",
    }
    if counts:
        fields |= {"error_code": error.code if error else "worker_lost", "error_detail": reason}
    if isinstance(work, Step):
        move(work, StepState.READY, actor=work.leased_by, reason=reason, **fields)
    else:
        type(work)._default_manager.filter(pk=work.pk).update(**fields)
    wake_workers()


def _give_up(work: Work, last: str) -> None:
    failure = PlatformError(
        "attempts_exhausted", f"The platform failed {work.attempts} times; the last time: {last}"
    )
    if isinstance(work, Step):
        runs.step_fail(work, failure)
    else:
        move(
            work,
            "rejected",
            reason=failure.detail,
            **FREE,
            error_code=failure.code,
            error_detail=failure.detail,
        )
        if isinstance(work, Submission):
            tell_rejected(work)


def release_expired() -> int:
    """Give back all work whose lease ran out; returns how many pieces."""
    count = 0
    for model in (Step, Submission, Batch):
        expired = model._default_manager.filter(state__in=HELD[model], lease_expires_at__lt=timezone.now())
        for work in list(expired):
            try:
                with transaction.atomic():
                    fence(work)
                    # The holder may have come back to life since the list was read.
                    if not expired.filter(pk=work.pk).exists():
                        continue
                    if isinstance(work, Step) and work.run.cancel_requested:
                        runs.step_cancel(work)
                    else:
                        _give_back(work, reason=f"{work.leased_by} lost contact.", counts=True)
                    count += 1
            except PlatformError:
                continue
    return count
