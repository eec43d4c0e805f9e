"""Resumable uploads: rows and files that grow together."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from leaderboard.models import Team, Upload, User
from leaderboard.services.quotas import require_bytes
from protocols.errors import PLATFORM_FAULTS, PlatformError, RequestError
from protocols.states import BatchState, SubmissionState

CHUNK_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)


def upload_create(*, owner: User, team: Team | None, length: int, filename: str = "") -> Upload:
    """``team`` is whose quota it counts against; a maintainer's batch counts against none.

    Raises ``RequestError``: upload_size above ``UPLOAD_MAX_BYTES``, quota_bytes.
    """
    if not 0 < length <= settings.UPLOAD_MAX_BYTES:
        raise RequestError(
            "upload_size",
            f"{length} bytes were declared; from 1 to {settings.UPLOAD_MAX_BYTES} are accepted.",
        )
    with transaction.atomic():
        if team is not None:
            require_bytes(Team.objects.select_for_update().get(pk=team.pk), length)
        upload = Upload.objects.create(
            owner=owner,
            team=team,
            length=length,
            filename=filename[:255],
            expires_at=timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S),
        )
    upload.path.parent.mkdir(parents=True, exist_ok=True)
    upload.path.touch(mode=0o600)
    return upload


@contextmanager
def _locked(upload: Upload) -> Iterator[IO[bytes]]:
    """The upload's file at its end, for one request at a time."""
    try:
        file = upload.path.open("r+b")
    except FileNotFoundError as error:
        raise RequestError("not_found", f"The bytes of upload {upload.pk} are gone.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError("upload_locked") from error
        file.seek(0, os.SEEK_END)
        yield file


def upload_append(upload: Upload, *, offset: int, stream: IO[bytes]) -> int:
    """Append what ``stream`` gives at ``offset`` and return the new offset.

    What arrived before ``stream`` breaks is kept: the client will ask for the offset and
    go on from there. Raises ``RequestError('upload_offset')`` when the file ends elsewhere,
    ``RequestError('upload_locked')`` while another request is writing,
    ``RequestError('upload_size')`` when there is more than was declared, and
    ``PlatformError('storage_full')``.
    """
    try:
        with _locked(upload) as file:
            received = file.tell()
            if offset != received:
                raise RequestError("upload_offset", f"The upload goes on at {received}, not at {offset}.")
            while chunk := stream.read(CHUNK_BYTES):
                if received + len(chunk) > upload.length:
                    raise RequestError(
                        "upload_size", f"More than the declared {upload.length} bytes were sent."
                    )
                file.write(chunk)
                received += len(chunk)
    except OSError as error:
        if error.errno in FULL:
            raise PlatformError("storage_full") from error
        raise
    return received


def upload_attach(upload: Upload) -> Upload:
    """Check that an upload is free, for the one thing that will own it; bytes may still be missing."""
    upload = Upload.objects.select_for_update().get(pk=upload.pk)
    _check_free(upload)
    return upload


def upload_take(upload: Upload) -> Upload:
    """Check that an upload is whole and free, for the one thing that will own it."""
    upload = upload_attach(upload)
    if not upload.is_complete:
        raise RequestError("upload_incomplete", f"{upload.offset} of {upload.length} bytes have arrived.")
    return upload


def _check_free(upload: Upload) -> None:
    if hasattr(upload, "submission") or hasattr(upload, "batch"):
        raise RequestError("upload_used", f"Upload {upload.pk} already belongs to something.")


def upload_terminate(upload: Upload) -> None:
    """Delete an upload at its owner's wish, unless something owns it or is being written to it."""
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload.pk)
        _check_free(upload)
        with _locked(upload):
            upload_delete(upload)


def upload_delete(upload: Upload) -> None:
    """Forget an upload and free its bytes."""
    upload.path.unlink(missing_ok=True)
    upload.delete()


def spent_uploads() -> QuerySet[Upload]:
    """What was abandoned, and what its owner no longer needs."""
    abandoned = Q(submission__isnull=True, batch__isnull=True, expires_at__lt=timezone.now())
    # After a fault of the platform the check can be tried again, with the bytes that are there.
    waits = Q(submission__state__in=(SubmissionState.UPLOADING, SubmissionState.CHECKING))
    retried = Q(submission__state=SubmissionState.REJECTED, submission__error_code__in=PLATFORM_FAULTS)
    checked = Q(submission__isnull=False) & ~waits & ~(retried & Q(expires_at__gt=timezone.now()))
    sealed = Q(batch__isnull=False) & ~Q(batch__state=BatchState.CHECKING)
    return Upload.objects.filter(abandoned | checked | sealed)


def delete_spent() -> int:
    """Free the uploads that nobody needs; returns how many."""
    uploads = list(spent_uploads())
    for upload in uploads:
        upload_delete(upload)
    return len(uploads)
