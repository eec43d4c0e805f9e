"""The check of an uploaded image archive, before any engine sees it."""

from __future__ import annotations

import os

from django.db import transaction

from evaluator.lease import Lease, with_database
from leaderboard.models import Submission
from leaderboard.services.leases import fence
from leaderboard.services.submissions import submission_begin_trial
from leaderboard.services.uploads import upload_delete
from leaderboard.store import hash_file, store
from protocols.errors import PlatformError
from sandbox.archive import inspect_archive


def check_submission(submission: Submission, lease: Lease[Submission]) -> None:
    """Inspect the archive, keep it in the store and let the submission go on to its trial.

    Raises ``ParticipantError`` (``archive_*``) when it is no archive that could be run.
    """
    upload = submission.upload
    if upload is None or not upload.is_complete:
        raise PlatformError("staging_failed", f"The upload of submission {submission.pk} is gone.")
    lease.report(0.1, "checking the archive")
    image = inspect_archive(upload.path)
    lease.check()
    lease.report(0.7, "keeping the archive")
    # A hard link keeps the upload in place until the move is committed.
    copy = store().scratch()
    copy.unlink()
    os.link(upload.path, copy)
    # The bytes were hashed as they came.
    archive = store().adopt(copy, upload.sha256 or hash_file(upload.path))

    def begin_trial() -> None:
        with transaction.atomic():
            fence(submission)
            submission_begin_trial(
                submission,
                archive=archive,
                archive_bytes=upload.length,
                image_id=image.image_id,
                phases=list(image.phases),
                image_bytes=image.size_bytes,
            )

    with_database(begin_trial)
    with_database(lambda: upload_delete(upload))
