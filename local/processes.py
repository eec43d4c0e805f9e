"""Child processes that end when we end, and locks that the kernel lets go when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.02


def tied(command: Sequence[str | Path], death_signal: str = "TERM", *, drop_root: bool = False) -> list[str]:
    """``command`` wrapped so that the kernel sends it ``death_signal`` when the thread that starts it ends.

    ``drop_root`` runs it as ``nobody`` where we are root, for programs that refuse root. It keeps
    CAP_DAC_OVERRIDE alone, so it can still reach a checkout under ``/root``. ``setpriv`` belongs to
    util-linux, which every Linux has, and spares us a ``preexec_fn``, which is unsafe with threads.
    """
    wrapper = ["setpriv", "--pdeathsig", death_signal]
    if drop_root and os.geteuid() == 0:
        wrapper += ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        # access(2) forgets the capability of anyone but root unless this bit is set.
        wrapper.append("--securebits=+no_setuid_fixup")
        wrapper += [f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return [*wrapper, "--", *map(str, command)]


def spawn(
    command: Sequence[str | Path],
    log: Path,
    *,
    death_signal: str = "TERM",
    drop_root: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the leader of its own session, with its output appended to ``log``.

    In a session of its own it does not get the terminal's Ctrl-C: whoever started it decides when
    and in which order it ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            tied(command, death_signal, drop_root=drop_root),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], grace_s: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Send ``first``, wait ``grace_s``, then kill whatever is left of the process's group."""
    process.send_signal(first)
    bury(process, grace_s)


def bury(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Wait ``grace_s`` for a process that was told to end, then kill whatever is left of its group."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    # The leader's own children stay in its group and may outlive it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path, lines: int = 15) -> str:
    """The last ``lines`` lines of a log, or a note that there is none."""
    if not log.exists():
        return f"({log} is missing)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def package_folder(name: str) -> Path:
    """Where an installed package lies, found without running its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"The package {name} is not installed: run `make setup`.")
    return Path(spec.origin).parent


def private_folder(folder: Path) -> None:
    """Make ``folder`` ours alone; refuse one that another user has put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to another user: remove it or choose another TIDEMARK_HOME.")
    folder.chmod(0o700)


def free_port() -> int:
    """A TCP port that was free on the loopback a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Lock:
    """An exclusive lock on a file, which names its holder's pid and frees itself when the holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; say whether we have it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.truncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return True

    def holder(self) -> int | None:
        """The pid written in the file, or None when there is none."""
        text = self.path.read_text().strip() if self.path.exists() else ""
        return int(text) if text else None

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
