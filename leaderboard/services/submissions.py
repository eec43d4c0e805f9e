"""Submissions: from a form to an accepted detector with a run."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Benchmark, Run, Submission, Upload, Visibility
from leaderboard.queue import wake_workers
from leaderboard.selectors.timelines import newest_edition
from leaderboard.services.moves import FREE, move
from leaderboard.services.runs import run_cancel, run_create
from leaderboard.services.uploads import upload_take
from protocols.errors import RequestError, TidemarkError
from protocols.states import SubmissionState

ENDED = (SubmissionState.REJECTED, SubmissionState.WITHDRAWN)


def submission_create(
    *,
    owner: Any,
    benchmark: Benchmark,
    name: str,
    description: str = "",
    paper_url: str = "",
    code_url: str = "",
    declared_cutoff: date | None = None,
    visibility: str = Visibility.PUBLIC,
    seed: int = 0,
) -> Submission:
    """A draft that waits for its archive.

    Raises ``RequestError('conflict')`` when the owner uses the name already.
    """
    if owner.submissions.filter(benchmark=benchmark, name=name).exclude(state__in=ENDED).exists():
        raise RequestError("conflict", f"You have an entry {name!r} on {benchmark.slug} already.")
    return Submission.objects.create(
        owner=owner,
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
    """Give a draft its finished upload and queue the check of the archive."""
    with transaction.atomic():
        upload = upload_take(upload)
        move(submission, SubmissionState.CHECKING, actor=actor, upload=upload, sealed_at=timezone.now())
        wake_workers()
    return submission


def submission_accept(
    submission: Submission, *, archive: str, image_id: str, phases: list[str], image_bytes: int
) -> Run | None:
    """The archive is fine: keep it and plan a run on the newest edition, if there is one.

    The caller has fenced the submission in this transaction.
    """
    move(
        submission,
        SubmissionState.ACCEPTED,
        actor=submission.leased_by,
        **FREE,
        progress=1.0,
        activity="",
        archive=archive,
        image_id=image_id,
        phases=phases,
        image_bytes=image_bytes,
    )
    edition = newest_edition(submission.benchmark)
    return run_create(submission, edition, seed=submission.seed) if edition else None


def submission_reject(submission: Submission, error: TidemarkError) -> Submission:
    """The archive can't be run. The caller has fenced the submission in this transaction."""
    return move(
        submission,
        SubmissionState.REJECTED,
        actor=submission.leased_by,
        reason=str(error),
        **FREE,
        activity="",
        error_code=error.code,
        error_detail=error.detail,
    )


def submission_cancel(submission: Submission, *, actor: object) -> Submission:
    """Stop everything that a submission has under way. Results that are there stay.

    A submission that was not accepted yet is withdrawn; an accepted one keeps its entry
    and its runs are cancelled. Raises ``RequestError('illegal_transition')`` when nothing
    is under way.
    """
    with transaction.atomic():
        if submission.state in (SubmissionState.DRAFT, SubmissionState.UPLOADING, SubmissionState.CHECKING):
            return move(
                submission, SubmissionState.WITHDRAWN, actor=actor, reason="Cancelled on request.", **FREE
            )
        live = [run for run in submission.runs.all() if run.finished_at is None]
        if not live:
            raise RequestError("illegal_transition", f"Nothing of {submission.name} is under way.")
        for run in live:
            run_cancel(run, actor=actor)
    return submission
