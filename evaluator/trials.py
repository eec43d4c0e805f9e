"""The trial of a submission: it trains and predicts on the public sample before it joins the queue."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from evaluator.lease import Lease, Stopped, with_database
from evaluator.worker import Worker
from evaluator.workplace import workplace
from leaderboard.models import Submission
from leaderboard.services.leases import fence
from leaderboard.services.submissions import TrialPhase, submission_accept, trial_record
from leaderboard.store import store
from protocols.contract import Phase
from protocols.errors import PlatformError
from protocols.states import SubmissionState
from sandbox.images import ensure_image
from sandbox.limits import Lease as ContainerLease
from sandbox.trial import PhaseReport, Trial, TrialReport, run_trial

# What the containers of trials carry where those of steps carry the step's number.
LABEL = "trial-"
_ACTIVITIES = {Phase.TRAIN: "training on the sample", Phase.PREDICT: "predicting the sample"}


def is_current_trial(label: str, token: int) -> bool:
    """Whether a container that carries these labels belongs to a trial whose claim still stands."""
    return Submission.objects.filter(
        pk=label.removeprefix(LABEL), lease_token=token, state=SubmissionState.TRIAL
    ).exists()


def run_submission_trial(submission: Submission, lease: Lease[Submission], worker: Worker) -> None:
    """Try a claimed submission; what it showed is kept, and it is accepted if it did what it must.

    Raises ``ParticipantError`` for what the container did, ``PlatformError`` for what we did,
    ``Stopped`` when the trial must not go on.
    """
    lease.report(0.0, "loading the image")
    ensure_image(worker.client, store().path(submission.archive), submission.image_id)
    lease.check()
    with workplace(f"{LABEL}{submission.pk}", submission.lease_token or 0) as folder:
        report = run_trial(
            _trial(submission, worker),
            folder,
            on_progress=lambda phase, share: lease.report(
                _share_of_all(submission, phase, share), _ACTIVITIES[phase]
            ),
            should_stop=lease.stop_reason,
        )
    if report.stopped:
        raise Stopped(report.stopped)
    # Such an attempt shows nothing of the detector; the next one may.
    if isinstance(report.error, PlatformError):
        raise report.error
    _write(submission, report)
    if report.error:
        raise report.error


def _trial(submission: Submission, worker: Worker) -> Trial:
    return Trial(
        client=worker.client,
        engine=worker.engine,
        image_id=submission.image_id,
        phases=[Phase(phase) for phase in submission.phases],
        budget_of=submission.benchmark.budget,
        lease=ContainerLease(
            settings.INSTANCE, f"{LABEL}{submission.pk}", submission.lease_token or 0, worker.name
        ),
        benchmark=submission.benchmark.slug,
        seed=submission.seed,
        gpus=worker.gpus,
        runtime=settings.CONTAINER_RUNTIME or None,
        timeout_s=settings.TRIAL_TIMEOUT_S,
    )


def _share_of_all(submission: Submission, phase: Phase, share: float) -> float:
    """How much of the whole trial is done: each phase is as much of it as another."""
    done = [Phase(phase) for phase in submission.phases].index(phase)
    return (done + share) / len(submission.phases)


def _write(submission: Submission, report: TrialReport) -> None:
    def write() -> None:
        with transaction.atomic():
            fence(submission)
            trial_record(submission, [_kept(phase) for phase in report.phases])
            if report.passed:
                submission_accept(submission)

    with_database(write)


def _kept(report: PhaseReport) -> TrialPhase:
    return TrialPhase(
        phase=report.phase,
        seconds=report.seconds,
        log=report.log,
        peak_memory_bytes=report.peak_memory_bytes,
        error=report.error,
    )
