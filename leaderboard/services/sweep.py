"""The sweeper: nothing that is not final is ever forgotten.

It works on PostgreSQL alone, so it goes on while the broker is away, and everything in
it may run twice or in several processes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaderboard.models import Batch, Run, Submission
from leaderboard.queue import send_wake_up
from leaderboard.services import idempotency, leases, news, runs, uploads, workers
from leaderboard.services.null_rows import null_rows_waiting
from leaderboard.services.submissions import deleted_forget, upload_finished
from protocols.states import CHECKED, BatchState, RunState, SubmissionState

# One message per waiting piece of work is plenty; each worker goes on until nothing is left.
MAX_WAKE_UPS = 32
# More GPUs than any host has: the largest value of the column.
ANY_GPUS = 32767


@dataclass(frozen=True)
class Swept:
    """What one sweep did: leases given back, wake-ups sent, uploads deleted."""

    released: int
    waiting: int
    deleted: int


def waiting_count() -> int:
    """How many pieces of work could be claimed now."""
    stale = Run.objects.filter(stale_since__isnull=False).count()
    checks = Submission.objects.filter(state__in=CHECKED, lease_token__isnull=True).count()
    batches = Batch.objects.filter(state=BatchState.CHECKING, lease_token__isnull=True).count()
    steps = leases.claimable_steps(gpus=ANY_GPUS).count()
    return stale + checks + batches + steps + null_rows_waiting()


def sweep() -> Swept:
    """Give back expired leases, go on with every live run, wake workers, delete what is abandoned.

    What readers are to hear of is queued; sending it takes its time and is not done here.
    """
    released = leases.release_expired()
    for run in Run.objects.filter(state__in=(RunState.QUEUED, RunState.RUNNING)):
        runs.advance(run)
    for submission in Submission.objects.filter(state=SubmissionState.UPLOADING).select_related("upload"):
        if submission.upload is not None:
            upload_finished(submission.upload)
    deleted = uploads.delete_spent()
    workers.workers_forget()
    idempotency.forget_old_keys()
    deleted_forget()
    news.tell_met()
    waiting = waiting_count()
    if waiting:
        send_wake_up(min(waiting, MAX_WAKE_UPS))
    return Swept(released, waiting, deleted)
