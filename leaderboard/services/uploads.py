"""Resumable uploads: rows and files that grow together.

The file is the truth, the row says whose it is. Bytes are written once, where they stay until the store
takes the file over, and hashed as they come.

Nothing is synced to the disk while bytes come in: after a failure of power the file may be shorter than
its client was told, and the client asks for the offset and sends the rest again. With the last byte all
are synced, before the hash is written down and the client is told that it may forget its copy: whoever
reads the hash later must find these very bytes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from leaderboard.models import Submission, Team, Upload, User
from leaderboard.services.moves import SERVER, move
from leaderboard.services.quotas import require_bytes
from leaderboard.services.running_hashes import hashes
from protocols.errors import PLATFORM_FAULTS, PlatformError, RequestError
from protocols.states import BatchState, SubmissionState

if TYPE_CHECKING:
    from hashlib import _Hash

# What is in memory of an upload at any time.
CHUNK_BYTES = 1 << 18
# How much is written before the kernel is told to begin bringing it to the disk.
FLUSH_BYTES = 1 << 25
FULL = (errno.ENOSPC, errno.EDQUOT)
# How often an upload's expiry moves on while a long request brings it bytes.
RENEW_S = 60.0
# A file without a row is what a crash left; a younger one may be about to get its row's first byte.
ORPHAN_AGE_S = 3600.0

# What a client may send the digest of a piece in, by its name in the protocol.
ALGORITHMS = ("sha1", "sha256", "md5")


class Readable(Protocol):
    """A binary file, or a body that comes in: fills the beginning of a buffer, and returns 0 at the end."""

    def readinto(self, target: memoryview, /) -> int: ...


@dataclass(frozen=True)
class Checksum:
    """What a piece must hash to, or it is thrown away."""

    algorithm: str
    digest: bytes

    def new(self) -> _Hash:
        # It finds broken transfers; nobody is to be kept from forging one.
        return hashlib.new(self.algorithm, usedforsecurity=False)


def upload_create(
    *, owner: User, team: Team | None, length: int, filename: str = "", metadata: str = ""
) -> Upload:
    """``team`` is whose quota it counts against; a maintainer's batch counts against none.

    Raises ``RequestError``: upload_size above ``UPLOAD_MAX_BYTES``, quota_bytes; and
    ``PlatformError('storage_full')`` where the disk has no room for so much.
    """
    if not 0 < length <= settings.UPLOAD_MAX_BYTES:
        raise RequestError(
            "upload_size",
            f"{length} bytes were declared; from 1 to {settings.UPLOAD_MAX_BYTES} are accepted.",
        )
    folder = Upload.folder()
    folder.mkdir(parents=True, exist_ok=True)
    if length > shutil.disk_usage(folder).free:
        raise PlatformError("storage_full", f"The server has no room for {length} bytes now.")
    with transaction.atomic():
        if team is not None:
            require_bytes(Team.objects.select_for_update().get(pk=team.pk), length)
        upload = Upload.objects.create(
            owner=owner,
            team=team,
            length=length,
            filename=filename[:255],
            metadata=metadata,
            expires_at=_expiry(),
        )
    upload.path.touch(mode=0o600)
    return upload


def _expiry() -> datetime:
    return timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S)


@contextmanager
def _locked(upload: Upload) -> Iterator[int]:
    """The upload's open file, for one request at a time; what was never vouched for is gone from it."""
    try:
        fd = os.open(upload.path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _gone(upload) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError("upload_locked") from error
        if not os.fstat(fd).st_nlink:
            raise _gone(upload)
        if upload.mark.exists():
            # The request that wrote it was killed before it had all that its checksum is of.
            os.ftruncate(fd, upload.offset)
            upload.mark.unlink()
        yield fd
    finally:
        os.close(fd)


def _gone(upload: Upload) -> RequestError:
    return RequestError("not_found", f"The bytes of upload {upload.pk} are gone.")


def upload_append(
    upload: Upload,
    *,
    offset: int,
    stream: Readable,
    size: int | None = None,
    checksum: Checksum | None = None,
) -> int:
    """Append what ``stream`` gives at ``offset`` and return the new offset; ``size`` is how much is to come.

    What arrived before ``stream`` breaks is kept, unless a checksum is to vouch for it: the client
    will ask for the offset and go on from there. The upload expires later again from now on, and with
    the last byte it has its hash. Raises ``RequestError``: upload_offset when the file ends elsewhere,
    upload_locked while another request is writing, upload_size when there is more than was declared,
    upload_checksum, not_found when the upload was given up meanwhile; and
    ``PlatformError('storage_full')``.
    """
    try:
        with _locked(upload) as fd:
            received = os.fstat(fd).st_size
            if offset != received:
                raise RequestError("upload_offset", f"The upload goes on at {received}, not at {offset}.")
            if size is not None and size > upload.length - offset:
                raise _too_much(upload)
            _renew(upload)
            whole = hashes.at(upload.pk, offset, fd)
            if checksum is None:
                offset = _write(upload, fd, offset, stream, whole)
            else:
                offset = _write_vouched(upload, fd, offset, stream, whole, checksum)
            if offset == upload.length:
                os.fdatasync(fd)
                _renew(upload, sha256=whole.hexdigest())
            else:
                _renew(upload)
    except OSError as error:
        if error.errno in FULL:
            raise PlatformError("storage_full") from error
        raise
    return offset


def _too_much(upload: Upload) -> RequestError:
    return RequestError("upload_size", f"More than the declared {upload.length} bytes were sent.")


def _renew(upload: Upload, **fields: str) -> None:
    """Move the expiry on: an upload that is being written never expires under its client."""
    upload.expires_at = _expiry()
    if not Upload.objects.filter(pk=upload.pk).update(expires_at=upload.expires_at, **fields):
        raise _gone(upload)
    for name, value in fields.items():
        setattr(upload, name, value)


def _write(
    upload: Upload, fd: int, offset: int, stream: Readable, whole: _Hash, part: _Hash | None = None
) -> int:
    """Write ``stream`` to the end of the file, through the hashes; returns the new offset."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    flushed, renewed = offset, time.monotonic()
    try:
        while size := stream.readinto(buffer):
            if size > upload.length - offset:
                raise _too_much(upload)
            chunk = buffer[:size]
            _write_all(fd, chunk, offset)
            whole.update(chunk)
            if part is not None:
                part.update(chunk)
            offset += size
            if offset - flushed >= FLUSH_BYTES:
                # For bytes that are not on the disk yet it only begins to write them, and does not wait:
                # the sync after the last byte has little left to do.
                os.posix_fadvise(fd, flushed, offset - flushed, os.POSIX_FADV_DONTNEED)
                flushed = offset
            if time.monotonic() - renewed > RENEW_S:
                _renew(upload)
                renewed = time.monotonic()
    finally:
        if part is None:
            hashes.keep(upload.pk, offset, whole)
    return offset


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def _write_vouched(
    upload: Upload, fd: int, offset: int, stream: Readable, whole: _Hash, checksum: Checksum
) -> int:
    """As ``_write``; without the right checksum in the end nothing was written.

    The mark says so even if this process is killed in between.
    """
    upload.mark.write_text(str(offset))
    part = checksum.new()
    try:
        received = _write(upload, fd, offset, stream, whole, part)
        if part.digest() != checksum.digest:
            raise RequestError("upload_checksum")
    except BaseException:
        os.ftruncate(fd, offset)
        upload.mark.unlink(missing_ok=True)
        raise
    upload.mark.unlink(missing_ok=True)
    hashes.keep(upload.pk, received, whole)
    return received


def upload_attach(upload: Upload) -> Upload:
    """Check that an upload is free, for the one thing that will own it; bytes may still be missing."""
    upload = Upload.objects.select_for_update().get(pk=upload.pk)
    if _has_owner(upload):
        raise _used(upload)
    return upload


def upload_take(upload: Upload) -> Upload:
    """Check that an upload is whole and free, for the one thing that will own it."""
    upload = upload_attach(upload)
    if not upload.is_complete:
        raise RequestError("upload_incomplete", f"{upload.offset} of {upload.length} bytes have arrived.")
    return upload


def _has_owner(upload: Upload) -> bool:
    return hasattr(upload, "submission") or hasattr(upload, "batch")


def _used(upload: Upload) -> RequestError:
    return RequestError("upload_used", f"Upload {upload.pk} already belongs to something.")


def upload_terminate(upload: Upload, *, actor: object) -> None:
    """Delete an upload at its owner's wish. An entry that waits for its bytes is a draft again.

    Raises ``RequestError``: upload_used where something has it, upload_locked while it is written.
    """
    with _held(upload.pk) as (held, waiting):
        if held is None:
            raise _gone(upload)
        if waiting is None and _has_owner(held):
            raise _used(held)
        with _locked(held):
            _let_go(held, waiting, actor=actor, reason="The upload was given up.")


def upload_delete(upload: Upload) -> None:
    """Forget an upload and free its bytes."""
    upload.path.unlink(missing_ok=True)
    upload.mark.unlink(missing_ok=True)
    hashes.forget(upload.pk)
    upload.delete()


@contextmanager
def _held(upload_id: uuid.UUID) -> Iterator[tuple[Upload | None, Submission | None]]:
    """The rows of an upload and of the entry that waits for its bytes, both locked for a transaction.

    The entry first, as whoever deletes an entry locks them.
    """
    with transaction.atomic():
        waiting = (
            Submission.objects.select_for_update(of=("self",))
            .filter(upload=upload_id, state=SubmissionState.UPLOADING)
            .first()
        )
        yield Upload.objects.select_for_update().filter(pk=upload_id).first(), waiting


def _let_go(upload: Upload, waiting: Submission | None, *, actor: object, reason: str) -> None:
    if waiting is not None:
        move(waiting, SubmissionState.DRAFT, actor=actor, reason=reason, upload=None)
    upload_delete(upload)


def spent_uploads() -> QuerySet[Upload]:
    """What was abandoned, and what its owner no longer needs."""
    expired = Q(expires_at__lt=timezone.now())
    abandoned = Q(submission__isnull=True, batch__isnull=True) & expired
    given_up = Q(submission__state=SubmissionState.UPLOADING) & expired
    # After a fault of the platform the check can be tried again, with the bytes that are there.
    waits = Q(submission__state__in=(SubmissionState.UPLOADING, SubmissionState.CHECKING))
    retried = Q(submission__state=SubmissionState.REJECTED, submission__error_code__in=PLATFORM_FAULTS)
    checked = Q(submission__isnull=False) & ~waits & ~(retried & ~expired)
    sealed = Q(batch__isnull=False) & ~Q(batch__state=BatchState.CHECKING)
    return Upload.objects.filter(abandoned | given_up | checked | sealed)


def delete_spent() -> int:
    """Free the uploads that nobody needs, and files that no row knows; returns how many uploads.

    One that is being written is left alone: its client is there, and has moved the expiry on.
    """
    deleted = sum(_delete_if_spent(pk) for pk in spent_uploads().values_list("pk", flat=True))
    _delete_orphans()
    return deleted


def _delete_if_spent(upload_id: uuid.UUID) -> bool:
    try:
        with _held(upload_id) as (upload, waiting):
            # Asked again under the locks: the last byte or a renewal may have come.
            if upload is None or not spent_uploads().filter(pk=upload_id).exists():
                return False
            if waiting is None and Submission.objects.filter(upload=upload, state=SubmissionState.UPLOADING):
                # An entry got it between the two locks: the next sweep will see both.
                return False
            if not upload.path.exists():
                _let_go(upload, waiting, actor=SERVER, reason="The upload's bytes are gone.")
                return True
            with _locked(upload):
                _let_go(upload, waiting, actor=SERVER, reason="The upload expired.")
    except RequestError:
        return False
    return True


def _delete_orphans() -> None:
    """Files that a crash, or the end of their owner's account, left without a row."""
    folder = Upload.folder()
    old = time.time() - ORPHAN_AGE_S
    files = [file for file in folder.glob("*") if file.stat().st_mtime < old] if folder.exists() else []
    if files:
        known = {str(pk) for pk in Upload.objects.values_list("pk", flat=True)}
        for file in files:
            if file.stem not in known:
                file.unlink(missing_ok=True)
