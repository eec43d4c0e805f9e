"""Uploads behind the API: their hash, what ends them, and what the sweeper frees."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from leaderboard.models import Upload
from leaderboard.services import uploads
from leaderboard.services.running_hashes import RunningHashes
from leaderboard.services.submissions import submission_attach
from leaderboard.services.sweep import sweep
from leaderboard.services.uploads import Checksum, delete_spent, upload_append, upload_delete
from protocols.errors import RequestError
from protocols.states import BatchState, SubmissionState
from tests.leaderboard.factories import BatchFactory, SubmissionFactory, UploadFactory

pytestmark = pytest.mark.django_db


def past(**fields: Any) -> Upload:
    upload: Upload = UploadFactory(expires_at=timezone.now() - timedelta(seconds=1), **fields)
    return upload


def append(upload: Upload, content: bytes, **options: Any) -> int:
    return upload_append(upload, offset=upload.offset, stream=io.BytesIO(content), **options)


class Reads:
    """Counts what is read of a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_bytes = 0
        pread = os.pread

        def counted(fd: int, size: int, offset: int) -> bytes:
            data = pread(fd, size, offset)
            self.n_bytes += len(data)
            return data

        monkeypatch.setattr(os, "pread", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def test_the_pieces_of_an_upload_are_hashed_as_they_come(reads: Reads) -> None:
    upload = UploadFactory(content=b"", length=300)
    for number in range(30):
        assert upload.sha256 == ""
        append(upload, b"%010d" % number)
    assert upload.sha256 == hashlib.sha256(upload.path.read_bytes()).hexdigest()
    assert Upload.objects.get().sha256 == upload.sha256
    assert reads.n_bytes == 0


def test_two_processes_in_turns_read_each_byte_once_at_most(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = UploadFactory(content=b"", length=1000)
    processes = [RunningHashes(), RunningHashes()]
    for number in range(100):
        monkeypatch.setattr(uploads, "hashes", processes[number % 2])
        append(upload, b"%010d" % number)
    assert upload.sha256 == hashlib.sha256(upload.path.read_bytes()).hexdigest()
    # Each hashed the half that it got and read the other.
    assert 900 <= reads.n_bytes <= 1000


def test_a_hash_goes_on_from_the_file_where_its_state_is_lost(tmp_path: Path, reads: Reads) -> None:
    hashes, content = RunningHashes(kept=2), b"0123456789"
    path = tmp_path / "file"
    path.write_bytes(content)
    ids = [uuid.uuid4() for _ in range(3)]
    with path.open("rb") as file:
        for each in ids:
            hashes.keep(each, 6, hashlib.sha256(content[:6]))
        for each in ids:
            expected = hashlib.sha256(content[:8]).hexdigest()
            assert hashes.at(each, 8, file.fileno()).hexdigest() == expected
        # The first was pushed out, and is read from the start.
        assert reads.n_bytes == 8 + 2 + 2
        # A state that is further on than the file is no use.
        assert hashes.at(ids[2], 4, file.fileno()).hexdigest() == hashlib.sha256(content[:4]).hexdigest()
        hashes.forget(ids[2])
        with pytest.raises(EOFError):
            hashes.at(ids[2], 11, file.fileno())


def test_a_refused_piece_leaves_no_trace_in_the_hash() -> None:
    upload = UploadFactory(content=b"", length=6)
    append(upload, b"abc")
    with pytest.raises(RequestError, match="upload_checksum"):
        append(upload, b"XXX", checksum=Checksum("md5", hashlib.md5(b"def").digest()))
    append(upload, b"def", checksum=Checksum("md5", hashlib.md5(b"def").digest()))
    assert upload.sha256 == hashlib.sha256(b"abcdef").hexdigest()


def test_what_a_killed_process_left_unvouched_is_gone_with_the_next_piece() -> None:
    upload = UploadFactory(content=b"abcdef", length=9)
    upload.mark.write_text("3")
    assert upload.offset == 3
    assert append(upload, b"123456") == 9
    assert upload.path.read_bytes() == b"abc123456"
    assert upload.sha256 == hashlib.sha256(b"abc123456").hexdigest()
    assert not upload.mark.exists()


def test_an_upload_deleted_under_its_writer_is_gone() -> None:
    upload = UploadFactory(content=b"", length=4)

    class Deletes(io.BytesIO):
        def readinto(self, target: Any) -> int:
            if Upload.objects.filter(pk=upload.pk).exists():
                upload_delete(Upload.objects.get())
            return super().readinto(target)

    with pytest.raises(RequestError, match="not_found"):
        upload_append(upload, offset=0, stream=Deletes(b"abcd"))
    assert not upload.path.exists()


def test_an_expired_upload_gives_its_entry_back_as_a_draft() -> None:
    submission = SubmissionFactory(draft=True)
    upload = UploadFactory(owner=submission.owner, length=100)
    submission_attach(submission, upload, actor="ada")
    assert delete_spent() == 0
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sweep().deleted == 1
    submission.refresh_from_db()
    assert (submission.state, submission.upload) == (SubmissionState.DRAFT, None)
    event = submission.events.last()
    assert (event.old, event.new, event.actor) == ("uploading", "draft", "server")
    assert not upload.path.exists()
    # Its name is free for another try, and so is its place among today's entries.
    submission_attach(submission, UploadFactory(owner=submission.owner), actor="ada")
    assert submission.state == SubmissionState.CHECKING


def test_an_upload_that_is_whole_is_checked_and_not_given_back() -> None:
    upload = past(length=7)
    submission = SubmissionFactory(owner=upload.owner, upload=upload, state=SubmissionState.UPLOADING)
    sweep()
    submission.refresh_from_db()
    assert (submission.state, submission.upload) == (SubmissionState.CHECKING, upload)
    assert upload.path.exists()


def test_an_upload_that_is_being_written_does_not_expire() -> None:
    upload = past(length=100)
    with upload.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert delete_spent() == 0
    assert delete_spent() == 1
    assert not Upload.objects.exists()


def test_what_somebody_needs_is_kept_and_the_rest_is_freed() -> None:
    needed = [
        UploadFactory(),
        SubmissionFactory(state=SubmissionState.CHECKING, upload=past()).upload,
        BatchFactory(state=BatchState.CHECKING, upload=past()).upload,
        SubmissionFactory(
            state=SubmissionState.REJECTED, error_code="worker_lost", upload=UploadFactory()
        ).upload,
    ]
    spent = [
        past(),
        SubmissionFactory(upload=UploadFactory()).upload,
        SubmissionFactory(state=SubmissionState.WITHDRAWN, upload=UploadFactory()).upload,
        SubmissionFactory(
            state=SubmissionState.REJECTED, error_code="archive_bomb", upload=UploadFactory()
        ).upload,
        SubmissionFactory(state=SubmissionState.REJECTED, error_code="worker_lost", upload=past()).upload,
        BatchFactory(state=BatchState.SEALED, upload=UploadFactory()).upload,
    ]
    assert delete_spent() == len(spent)
    assert set(Upload.objects.all()) == set(needed)
    assert all(upload.path.exists() for upload in needed)
    assert not any(upload.path.exists() for upload in spent)


def test_files_that_no_row_knows_are_freed_when_they_are_old() -> None:
    kept: Upload = UploadFactory()
    kept.mark.write_text("3")
    files = {name: Upload.folder() / f"{uuid.uuid4()}{name}" for name in ("", ".mark", ".young")}
    for path in files.values():
        path.write_bytes(b"x")
    long_ago = time.time() - uploads.ORPHAN_AGE_S - 1
    for path in (files[""], files[".mark"], kept.path, kept.mark):
        os.utime(path, (long_ago, long_ago))
    delete_spent()
    assert [path.exists() for path in files.values()] == [False, False, True]
    assert kept.path.exists()
    assert kept.mark.exists()
    files[".young"].unlink()


def test_an_upload_is_stalled_when_nothing_came_of_late() -> None:
    upload = UploadFactory(length=100)
    assert not upload.is_stalled
    os.utime(upload.path, (0, 0))
    assert upload.is_stalled
    whole = UploadFactory()
    os.utime(whole.path, (0, 0))
    assert not whole.is_stalled
    upload.path.unlink()
    assert upload.is_stalled
