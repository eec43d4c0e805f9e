"""Keeps a handful of processes running, and ends them all."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from local.processes import bury, spawn

WATCH_S = 0.2
LONGEST_PAUSE_S = 30.0
# A process that has run this long is healthy again: its next crash begins with the first pause.
HEALTHY_S = 60.0


@dataclass(frozen=True)
class Service:
    """A process to keep running; ``grace_s`` is the time from SIGTERM to SIGKILL."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    grace_s: float = 10.0


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float
    due: float | None = None


class Supervisor:
    """Starts services, starts them again when they end by themselves, and stops them in the end.

    Each service writes to ``<logs>/<name>.log``. A service that crashes again and again is given
    ever longer pauses; ``say`` gets one sentence a crash. If this process is killed, so are they.
    """

    def __init__(self, logs: Path, say: Callable[[str], None], *, first_pause_s: float = 1.0) -> None:
        self._logs = logs
        self._say = say
        self._first_pause_s = first_pause_s
        self._running: list[_Running] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # Alive until every service has ended: a process dies with the thread that started it.
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self, service: Service) -> None:
        with self._lock:
            process = self._spawn(service)
            self._running.append(_Running(service, process, time.monotonic(), self._first_pause_s))

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def stop(self) -> None:
        """Tell all to end, the last started first, then wait for each and kill what outstays its grace."""
        with self._lock:
            self._stopping.set()
        for running in reversed(self._running):
            running.process.send_signal(signal.SIGTERM)
        for running in reversed(self._running):
            bury(running.process, running.service.grace_s)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._watcher.join()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        return spawn(service.command, self.log(service.name), env=service.env)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_S):
            with self._lock:
                if not self._stopping.is_set():
                    for running in self._running:
                        self._look_after(running, time.monotonic())
        for running in self._running:
            running.process.wait()

    def _look_after(self, running: _Running, now: float) -> None:
        code = running.process.poll()
        if code is None:
            return
        name = running.service.name
        if running.due is None:
            if now - running.started > HEALTHY_S:
                running.pause_s = self._first_pause_s
            running.due = now + running.pause_s
            self._say(
                f"{name} ended with code {code}; it starts again in {running.pause_s:g} s. "
                f"Its log: {self.log(name)}"
            )
            running.pause_s = min(2 * running.pause_s, LONGEST_PAUSE_S)
        elif now >= running.due:
            # Children that the crashed process left behind would hold its port or its work.
            bury(running.process, 0)
            running.process = self._spawn(running.service)
            running.started, running.due = now, None
