"""The one task: look whether there is work, and do it until there is none."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from celery import Task
from django.conf import settings
from django.db import close_old_connections

from evaluator import worker
from evaluator.batches import check_batch
from evaluator.claims import is_current
from evaluator.lease import held
from evaluator.null_rows import null_row_next
from evaluator.steps import run_step
from evaluator.submissions import check_submission
from evaluator.trials import run_submission_trial
from evaluator.worker import Worker, connected
from leaderboard.models import Batch, Submission
from leaderboard.queue import ALL_WORK, LOOK, app
from leaderboard.services import leases
from leaderboard.services.boards import boards_refresh
from leaderboard.services.scores import rescore_next
from protocols.errors import PlatformError
from sandbox.strays import remove_strays

log = structlog.get_logger(__name__)


@app.task(name=LOOK, bind=True)
def look(self: Task) -> None:
    """Take one piece of work after another. Looking twice, or for nothing, is harmless."""
    close_old_connections()
    try:
        work_off(self.request.hostname)
    finally:
        close_old_connections()


def work_off(name: str) -> int:
    """Work as ``name`` until nothing is left to claim; returns how many pieces were taken.

    Without an engine work stays where it is, and the sweeper wakes workers again and again.
    """
    taken = 0
    try:
        with connected(name) as me:
            while not worker.stopping.is_set():
                remove_strays(me.client, settings.INSTANCE, is_current)
                if not _take_one(me):
                    break
                taken += 1
            # Whoever waits for the last result shall not have to wait for the sweeper's round too. While
            # there is work a board is the sweeper's affair: it may take longer to make than a step.
            boards_refresh()
    except PlatformError as error:
        log.error(error.code, detail=error.detail)
    return taken


def _take_one(me: Worker) -> bool:
    """Claim and finish one piece of work; checks and trials first, since people wait for them."""
    return any(WORK[kind](me) for kind in ALL_WORK if kind in settings.WORKER_TAKES) or rescore_next()


def _check_one(me: Worker) -> bool:
    if submission := leases.claim_check(Submission, me.name):
        with held(submission) as lease:
            check_submission(submission, lease)
    return submission is not None


def _try_one(me: Worker) -> bool:
    if submission := leases.claim_trial(me.name, gpus=len(me.gpus)):
        with held(submission) as lease:
            run_submission_trial(submission, lease, me)
    return submission is not None


def _check_one_batch(me: Worker) -> bool:
    if batch := leases.claim_check(Batch, me.name):
        with held(batch) as lease:
            check_batch(batch, lease)
    return batch is not None


def _run_one(me: Worker) -> bool:
    return _null_row_one() or _step_one(me)


def _null_row_one() -> bool:
    """Before any step: it takes seconds, and a queue that never ends would keep it from boards for ever.

    What can't be computed is tried again and again, and keeps nobody's step from running.
    """
    try:
        return null_row_next()
    except Exception:
        log.exception("null_row_failed")
        return False


def _step_one(me: Worker) -> bool:
    if step := leases.claim_step(me.name, gpus=len(me.gpus)):
        with held(step) as lease:
            run_step(step, lease, me)
    return step is not None


# Claims and finishes one piece of a kind, if there is one.
WORK: dict[str, Callable[[Worker], bool]] = {
    "checks": _check_one,
    "trials": _try_one,
    "batches": _check_one_batch,
    "steps": _run_one,
}
