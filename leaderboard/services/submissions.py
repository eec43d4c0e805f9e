"""Submissions: entering, uploading, being checked and tried, cancelling, trying again, taking back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import (
    Benchmark,
    DeletedEntry,
    Run,
    Step,
    Submission,
    Team,
    Trial,
    Upload,
    User,
    Visibility,
)
from leaderboard.queue import wake_workers
from leaderboard.selectors.quotas import DAY
from leaderboard.selectors.timelines import newest_edition
from leaderboard.services.boards import board_touch
from leaderboard.services.entry_news import tell_accepted, tell_rejected
from leaderboard.services.moves import FREE, move
from leaderboard.services.quotas import require_bytes, require_entry
from leaderboard.services.runs import arrivals_cancel, run_cancel, run_create, run_retry
from leaderboard.services.storage import entry_free
from leaderboard.services.uploads import upload_attach, upload_delete
from protocols.errors import PLATFORM_FAULTS, RequestError, TidemarkError
from protocols.states import CHECKED, ENDED_SUBMISSION, LIVE_RUN, RunState, SubmissionState

# What an entry has before anything ran, and when it begins again.
FRESH: dict[str, Any] = {
    "attempts": 0,
    "not_before": None,
    "progress": 0.0,
    "activity": "",
    "error_code": "",
    "error_detail": "",
}


def submission_create(
    *,
    owner: User,
    team: Team,
    benchmark: Benchmark,
    name: str,
    description: str = "",
    paper_url: str = "",
    code_url: str = "",
    declared_cutoff: date | None = None,
    visibility: str = Visibility.PUBLIC,
    seed: int = 0,
) -> Submission:
    """A draft that waits for its archive. ``owner`` is a member of ``team``.

    Raises ``RequestError('conflict')`` when the team uses the name already.
    """
    if team.submissions.filter(benchmark=benchmark, name=name).exclude(state__in=ENDED_SUBMISSION).exists():
        raise RequestError("conflict", f"{team.slug} has an entry {name!r} on {benchmark.slug} already.")
    return Submission.objects.create(
        owner=owner,
        team=team,
        benchmark=benchmark,
        name=name,
        description=description,
        paper_url=paper_url,
        code_url=code_url,
        declared_cutoff=declared_cutoff,
        visibility=visibility,
        seed=seed,
    )


def submission_attach(submission: Submission, upload: Upload, *, actor: object) -> Submission:
    """Give a draft its upload. The check is queued at once, or as soon as all bytes have arrived.

    Raises ``RequestError``: quota_submissions, quota_runs, quota_bytes, upload_used,
    illegal_transition.
    """
    with transaction.atomic():
        # Entries of a team are counted one after another, or two at once would both find room.
        team = Team.objects.select_for_update().get(pk=submission.team_id)
        require_entry(team)
        upload = upload_attach(upload)
        if upload.team_id != team.pk:
            # It came in under another team's quota, or under none.
            require_bytes(team, upload.length)
            upload.team = team
            upload.save(update_fields=["team"])
        if upload.is_complete:
            _check(submission, actor=actor, upload=upload)
        else:
            move(submission, SubmissionState.UPLOADING, actor=actor, upload=upload)
    return submission


def upload_finished(upload: Upload) -> None:
    """Queue the check of the entry that waits for these bytes, if one does. Calling it again does nothing."""
    with transaction.atomic():
        submission = (
            Submission.objects.select_for_update(of=("self",))
            .filter(upload=upload, state=SubmissionState.UPLOADING)
            .first()
        )
        if submission is not None and upload.is_complete:
            _check(submission, actor=submission.owner)


def _check(submission: Submission, *, actor: object, **fields: Any) -> None:
    move(submission, SubmissionState.CHECKING, actor=actor, sealed_at=timezone.now(), **fields)
    wake_workers()


def submission_begin_trial(
    submission: Submission,
    *,
    archive: str,
    archive_bytes: int,
    image_id: str,
    image_bytes: int,
    phases: list[str],
) -> Submission:
    """The archive is fine: keep it, and let the container show on sample images that it works.

    The caller has fenced the submission in this transaction.
    """
    move(
        submission,
        SubmissionState.TRIAL,
        actor=submission.leased_by,
        **FREE,
        **FRESH,
        archive=archive,
        archive_bytes=archive_bytes,
        image_id=image_id,
        image_bytes=image_bytes,
        phases=phases,
    )
    wake_workers()
    return submission


@dataclass(frozen=True)
class TrialPhase:
    """How one phase of a trial ended: ``error`` is ``None`` when it went well."""

    phase: str
    seconds: float
    log: str
    peak_memory_bytes: int | None = None
    error: TidemarkError | None = None


def trial_record(submission: Submission, phases: list[TrialPhase]) -> None:
    """Keep what a trial showed, in place of what an earlier attempt showed. The caller has fenced it."""
    submission.trials.all().delete()
    Trial.objects.bulk_create(
        Trial(
            submission=submission,
            phase=each.phase,
            seconds=each.seconds,
            # PostgreSQL keeps no zero bytes in text.
            log=each.log.replace("\0", "�"),
            peak_memory_bytes=each.peak_memory_bytes,
            error_code=each.error.code if each.error else "",
            error_detail=each.error.detail if each.error else "",
        )
        for each in phases
    )


def submission_accept(submission: Submission) -> Run | None:
    """The trial went well: plan a run on the newest edition, if there is one.

    The caller has fenced the submission in this transaction.
    """
    move(
        submission,
        SubmissionState.ACCEPTED,
        actor=submission.leased_by,
        **FREE,
        **FRESH | {"progress": 1.0},
        accepted_at=timezone.now(),
    )
    tell_accepted(submission)
    edition = newest_edition(submission.benchmark)
    return run_create(submission, edition, seed=submission.seed) if edition else None


def submission_reject(submission: Submission, error: TidemarkError) -> Submission:
    """The archive can't be run. The caller has fenced the submission in this transaction."""
    move(
        submission,
        SubmissionState.REJECTED,
        actor=submission.leased_by,
        reason=str(error),
        **FREE,
        activity="",
        error_code=error.code,
        error_detail=error.detail,
    )
    tell_rejected(submission)
    return submission


def submission_cancel(submission: Submission, *, actor: object) -> Submission:
    """Stop everything that a submission has under way. Results that are there stay.

    A submission that was not accepted yet is withdrawn; an accepted one keeps its entry
    and its runs are cancelled. Raises ``RequestError('illegal_transition')`` when nothing
    is under way.
    """
    with transaction.atomic():
        if submission.state in (SubmissionState.DRAFT, SubmissionState.UPLOADING, *CHECKED):
            return move(
                submission, SubmissionState.WITHDRAWN, actor=actor, reason="Cancelled on request.", **FREE
            )
        if not _cancel_runs(submission, actor):
            raise RequestError("illegal_transition", f"Nothing of {submission.name} is under way.")
    return submission


def _cancel_runs(submission: Submission, actor: object) -> int:
    live = list(submission.runs.filter(state__in=LIVE_RUN))
    for run in live:
        run_cancel(run, actor=actor)
    return len(live)


def submission_retry(submission: Submission, *, actor: object) -> Submission:
    """Go on after a fault of the platform, from where it stopped.

    Raises ``RequestError('retry_impossible')`` where there was none, or where the archive is gone.
    """
    with transaction.atomic():
        submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission.pk)
        if submission.state == SubmissionState.REJECTED and submission.error_code in PLATFORM_FAULTS:
            return _begin_again(submission, actor)
        failed = submission.runs.filter(state=RunState.FAILED, error_code__in=PLATFORM_FAULTS)
        if submission.state != SubmissionState.ACCEPTED or not failed or not submission.archive:
            raise RequestError("retry_impossible", f"Nothing of {submission.name} failed by our fault.")
        for run in failed:
            run_retry(run, actor=actor)
    return submission


def _begin_again(submission: Submission, actor: object) -> Submission:
    if submission.archive:
        state = SubmissionState.TRIAL
    elif submission.upload is not None and submission.upload.is_complete:
        state = SubmissionState.CHECKING
    else:
        raise RequestError("retry_impossible", f"The archive of {submission.name} is gone; upload it anew.")
    move(submission, state, actor=actor, reason="Tried again.", **FRESH)
    wake_workers()
    return submission


def submission_withdraw(submission: Submission, *, actor: object, reason: str = "") -> Submission:
    """Take an entry back: nothing of it runs any more, and it meets no newcomer. Published scores stay.

    Raises ``RequestError('illegal_transition')`` when it was taken back already.
    """
    with transaction.atomic():
        # No seed is added in the meantime. Workers that hold a run of it may still write rows that name it.
        Submission.objects.select_for_update(of=("self",), no_key=True).get(pk=submission.pk)
        _cancel_runs(submission, actor)
        arrivals_cancel(submission, actor=actor)
        return move(submission, SubmissionState.WITHDRAWN, actor=actor, reason=reason, **FREE, activity="")


def submission_delete(submission: Submission, *, actor: object) -> bool:
    """Free all bytes of an entry. Returns whether the entry itself is gone too.

    One that was never accepted goes wholly. Of an accepted one the published scores stay, under its
    name; its archive, its checkpoints, its description and its logs go. Raises
    ``RequestError('illegal_transition')`` while something of it is under way.
    """
    with transaction.atomic():
        submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission.pk)
        if submission.state in CHECKED or submission.runs.filter(state__in=LIVE_RUN).exists():
            raise RequestError("illegal_transition", f"{submission.name} is under way; cancel it first.")
        upload, archive = submission.upload, submission.archive
        steps = Step.objects.filter(run__submission=submission).exclude(state_hash="")
        states = set(steps.values_list("state_hash", flat=True))
        if submission.accepted_at is None:
            if submission.sealed_at and submission.error_code not in PLATFORM_FAULTS:
                DeletedEntry.objects.create(team=submission.team, sealed_at=submission.sealed_at)
            board_touch(submission.benchmark_id)
            submission.delete()
        else:
            if submission.state != SubmissionState.WITHDRAWN:
                move(submission, SubmissionState.WITHDRAWN, actor=actor, reason="Deleted.")
            _strip(submission)
        if upload is not None:
            upload_delete(upload)
        transaction.on_commit(lambda: entry_free(archive, states))
    return submission.pk is None


def deleted_forget() -> int:
    """Delete the notes of deleted entries that count towards no quota any more; returns how many."""
    return DeletedEntry.objects.filter(sealed_at__lt=timezone.now() - DAY).delete()[0]


def _strip(submission: Submission) -> None:
    """Forget what only its team needed. The store frees what no row names any more."""
    Submission.objects.filter(pk=submission.pk).update(archive="", upload=None, description="")
    submission.trials.all().delete()
    for run in submission.runs.all():
        run.steps.update(log_tail="")
