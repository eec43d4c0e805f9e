"""Real worker and sweeper processes on the test's own database, and waiting for what they do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection

from leaderboard.models import Event
from local.processes import end, spawn
from tests.engines import Running

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
# Leases short enough for a test, long enough for a machine that is busy with other tests.
FAST = {"LEASE_S": "4", "HEARTBEAT_S": "1", "SWEEP_S": "0.5", "RETRY_DELAY_S": "0.2"}


class Processes:
    """Workers and sweepers on the test's own database; they end with the test, or with its process."""

    def __init__(self, env: Mapping[str, str], logs: Path, parts: ExitStack) -> None:
        self._env = env
        self._logs = logs
        self._parts = parts

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        pool = ["--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle"]
        return self._start(name, "-m", "celery", "-A", "evaluator.app", "worker", *pool, "-n", f"{name}@test")

    def sweeper(self) -> subprocess.Popen[bytes]:
        return self._start("sweeper", "manage.py", "sweep")

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = self._logs / f"{name}.log"
        process = spawn([sys.executable, *arguments], log, death_signal="KILL", env=self._env, cwd=ROOT)
        self._parts.callback(end, process, 10)
        return process

    def log(self, name: str) -> str:
        return (self._logs / f"{name}.log").read_text()


@pytest.fixture
def processes(
    process_env: Mapping[str, str], worker_settings: LazySettings, podman: Running, tmp_path: Path
) -> Iterator[Processes]:
    env = dict(process_env) | FAST
    env |= {"DOCKER_HOST": podman.engine.docker_host, "TIDEMARK_INSTANCE": "tests"}
    with ExitStack() as parts:
        yield Processes(env, tmp_path, parts)


def until(what: str, condition: Callable[[], Any]) -> Any:
    """Wait until the condition holds, reconnecting to a database that was restarted."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except OperationalError:
            connection.close()
        time.sleep(0.1)
    told = [f"{e.at:%T} {e.step}: {e.old} → {e.new} {e.actor} {e.reason}" for e in Event.objects.all()]
    raise AssertionError("\n".join([f"{what} did not happen in {DEADLINE_S:g} s; all events:", *told]))


def containers(podman: Running) -> list[dict[str, Any]]:
    return podman.client.api.containers(all=True, filters={"label": "io.tidemark.instance=tests"})
