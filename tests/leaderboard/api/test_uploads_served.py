"""Uploads to the production server, whose processes and connections die on the way."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.uploader import Uploader

from leaderboard.models import Upload, User
from leaderboard.services.accounts import token_create
from local.processes import end, free_port, spawn
from local.stack import _services
from tests.leaderboard.factories import UserFactory

pytestmark = pytest.mark.processes

MIB = 2**20
BODY_TYPE = "application/offset+octet-stream"
STALL_S = 2.0


class Served:
    """gunicorn as ``make serve`` starts it, and a user with a token before it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, user: User) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}/api/v1/uploads/"
        self.headers = {"Authorization": f"Token {token_create(user, ttl=timedelta(hours=1)).token}"}
        self.tus = TusClient(self.url, headers=self.headers)

    def uploader(self, path: Path, **options: Any) -> Uploader:
        # Given a path, the library would never close the file.
        return self.tus.uploader(file_stream=io.BytesIO(path.read_bytes()), **options)

    def head(self, length: int, offset: int) -> bytes:
        """What a PATCH of ``length`` bytes begins with."""
        lines = [
            f"PATCH /api/v1/uploads/{Upload.objects.get().pk} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: {self.headers['Authorization']}",
            "Tus-Resumable: 1.0.0",
            f"Content-Type: {BODY_TYPE}",
            f"Content-Length: {length}",
            f"Upload-Offset: {offset}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def begin(self, length: int, offset: int = 0) -> socket.socket:
        """A connection on which a PATCH of ``length`` bytes has been begun."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(self.head(length, offset))
        return connection

    def workers(self) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "gunicorn" in " ".join(child.cmdline())
        ]

    def writers(self, upload: Upload) -> list[psutil.Process]:
        """The workers that have the upload's file open."""
        return [
            worker
            for worker in self.workers()
            if any(str(upload.pk) in file.path for file in worker.open_files())
        ]

    def is_settled(self, upload: Upload) -> bool:
        """Whether all that a client who is gone had sent has been written."""
        offset = upload.offset
        time.sleep(0.3)
        return upload.offset == offset and not self.writers(upload)


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < until, "it did not come to pass in 90 s"
        time.sleep(0.02)


@pytest.fixture
def user(transactional_db: None) -> User:
    return UserFactory()


@pytest.fixture
def served(user: User, process_env: Mapping[str, str], tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    web = next(service for service in _services(process_env, port, 1) if service.name == "web")
    env = {**process_env, "UPLOAD_STALL_S": str(STALL_S), "STATIC_FROM_SOURCE": "1"}
    process = spawn(web.command, tmp_path / "web.log", env=env)

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.options(f"http://127.0.0.1:{port}/api/v1/uploads/", timeout=60).ok
        return False

    eventually(answers)
    yield Served(process, port, user)
    end(process, 10)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(np.random.default_rng(5).bytes(12 * MIB + 5))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


CLIENT = """
import sys
from tusclient.client import TusClient
url, token, path = sys.argv[1:]
TusClient(url, headers={"Authorization": token}).uploader(path, chunk_size=2**20).upload()
"""


def test_an_upload_outlives_its_client_and_the_servers_process(served: Served, archive: Path) -> None:
    # A client in a process of its own is killed between or within its pieces.
    words = [sys.executable, "-c", CLIENT, served.url, served.headers["Authorization"], str(archive)]
    with subprocess.Popen(words) as client:
        eventually(lambda: Upload.objects.exists() and Upload.objects.get().offset >= 3 * MIB)
        client.kill()
    upload = Upload.objects.get()
    eventually(lambda: served.is_settled(upload))
    upload.refresh_from_db()
    assert not upload.is_complete
    # The server's process is killed in the middle of a request.
    offset = upload.offset
    with closing(served.begin(9 * MIB - offset, offset)) as connection:
        connection.sendall(archive.read_bytes()[offset : 7 * MIB])
        eventually(lambda: upload.offset > 6 * MIB)
        (killed,) = served.writers(upload)
        os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
    kept = upload.offset
    assert 6 * MIB < kept <= 7 * MIB
    assert upload.path.read_bytes() == archive.read_bytes()[:kept]
    # A new client asks where to go on, and the pieces go to whichever process is there.
    address = f"{served.url}{upload.pk}"
    uploader = served.uploader(archive, url=address, chunk_size=MIB, retries=5, retry_delay=1)
    assert uploader.offset == kept
    uploader.upload()
    upload.refresh_from_db()
    assert upload.sha256 == sha256(archive) == sha256(upload.path)


def test_a_process_killed_before_the_checksum_is_known_leaves_none_of_its_bytes(
    served: Served, archive: Path
) -> None:
    uploader = served.uploader(archive, chunk_size=MIB, upload_checksum=True)
    uploader.upload(stop_at=2 * MIB)
    upload = Upload.objects.get()
    upload.mark.write_text(str(MIB))  # As that process leaves it, who got this far with its last piece.
    with pytest.raises(TusUploadFailed) as caught:
        uploader.upload_chunk()
    assert caught.value.status_code == 409
    assert (upload.offset, upload.path.stat().st_size) == (MIB, MIB)
    served.uploader(archive, url=uploader.url, chunk_size=MIB, upload_checksum=True).upload()
    upload.refresh_from_db()
    assert upload.sha256 == sha256(archive)


def test_a_client_that_falls_silent_does_not_keep_itself_out(served: Served, archive: Path) -> None:
    uploader = served.uploader(archive, chunk_size=MIB)
    uploader.upload(stop_at=MIB)
    with closing(served.begin(8 * MIB, MIB)) as silent:
        silent.sendall(archive.read_bytes()[MIB : 2 * MIB])
        eventually(lambda: Upload.objects.get().offset == 2 * MIB)
        again = served.uploader(archive, url=uploader.url, chunk_size=MIB, retries=9, retry_delay=1)
        again.upload()
        answer = silent.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert Upload.objects.get().sha256 == sha256(archive)


@pytest.mark.parametrize("n_bytes", [MIB, 40 * MIB])
def test_a_refusal_reaches_a_client_that_is_still_sending(served: Served, n_bytes: int) -> None:
    served.tus.uploader(file_stream=io.BytesIO(b"x" * 9)).create_url()
    upload = Upload.objects.get()
    answer = requests.patch(
        f"{served.url}{upload.pk}",
        data=bytes(n_bytes),
        headers={
            **served.headers,
            "Tus-Resumable": "1.0.0",
            "Content-Type": BODY_TYPE,
            "Upload-Offset": "0",
        },
        timeout=60,
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "upload_size")
    assert upload.offset == 0


def test_requests_on_one_connection_keep_their_bytes_apart(served: Served, archive: Path) -> None:
    """The server reads bodies from the connection itself, and must leave the next request where it is."""
    first, second = b"a" * 10, b"b" * 10
    served.uploader(archive).create_url()
    upload = Upload.objects.get()
    with closing(served.begin(len(first))) as connection:
        connection.sendall(first + served.head(len(second), len(first)) + second)
        eventually(lambda: upload.offset == 20)
    assert upload.path.read_bytes() == first + second


def test_memory_stays_flat(served: Served, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(12):
            file.write(np.random.default_rng(1).bytes(16 * MIB))
    for _ in range(4):  # Every process has answered something before it is measured.
        requests.get(served.url, headers=served.headers, timeout=60)
    before = {worker.pid: worker.memory_info().rss for worker in served.workers()}
    served.uploader(big, chunk_size=64 * MIB).upload()
    rise = [
        worker.memory_info().rss - before[worker.pid] for worker in served.workers() if worker.pid in before
    ]
    # All of it would be 192 MiB, one piece 64.
    assert max(rise) < 24 * MIB
    assert Upload.objects.get().sha256 == sha256(big)
