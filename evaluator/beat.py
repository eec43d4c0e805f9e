"""The heartbeat of a worker process, which the maintainers' desk reads."""

from __future__ import annotations

import threading

import structlog
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone
from docker.client import DockerClient

from leaderboard.services.workers import worker_seen, worker_stopped
from protocols.errors import PlatformError
from sandbox.engine import connect, engine_errors

log = structlog.get_logger(__name__)

# An engine that hangs must not hold up the heartbeat.
ENGINE_TIMEOUT_S = 5.0
# How long the end of the process waits for the goodbye: a beat that is under way comes first.
GOODBYE_S = 8.0


class Beat:
    """Says every ``HEARTBEAT_S`` that the worker ``name`` is there, what it has, and what ails it.

    It is a thread of its own, so it goes on while a step runs, and a database that is away
    only delays it. Work may be given back after the first sign to stop, so the end is told
    by ``end`` alone, when the process really ends.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._started_at = timezone.now()
        self._ended = threading.Event()
        self._engine = EngineProbe()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Say that the worker ends, and stop. A database that is away holds it up for seconds only."""
        self._ended.set()
        self._thread.join(GOODBYE_S)

    def _run(self) -> None:
        try:
            while True:
                self._say()
                if self._ended.wait(settings.HEARTBEAT_S):
                    break
            self._say_goodbye()
        finally:
            self._engine.close()
            connection.close()

    def _say(self) -> None:
        engine, problem = self._engine.now()
        try:
            worker_seen(
                self.name,
                started_at=self._started_at,
                gpus=settings.WORKER_GPUS,
                takes=settings.WORKER_TAKES,
                engine=engine,
                problem=problem,
            )
        except Error as error:
            log.warning("heartbeat_lost", error=str(error).strip())
            connection.close()

    def _say_goodbye(self) -> None:
        try:
            worker_stopped(self.name, started_at=self._started_at)
        except Error as error:
            log.warning("heartbeat_lost", error=str(error).strip())


class EngineProbe:
    """Asks the engine what it is once, and then only whether it still answers.

    Podman looks up the packages of all its helpers to say what it is, which costs a second of
    processor time on a small machine.
    """

    def __init__(self) -> None:
        self._client: DockerClient | None = None
        self._name = ""

    def now(self) -> tuple[str, str]:
        """The engine with its version and nothing, or nothing and why it can't be used."""
        try:
            if self._client is None:
                self._client, engine = connect(settings.DOCKER_HOST, timeout_s=ENGINE_TIMEOUT_S)
                self._name = f"{engine.name} {engine.version}"
            else:
                with engine_errors():
                    self._client.ping()
        except PlatformError as error:
            self.close()
            return "", error.detail
        return self._name, ""

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
