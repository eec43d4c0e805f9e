"""Workers show that they are alive: real worker processes on the test's own database."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection

from leaderboard.models import WorkerBeat
from leaderboard.selectors.desk.workers import MISSED_BEATS, WorkerState, worker_rows
from local.postgres import Postgres
from local.processes import end, spawn
from tests.engines import Running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
HEARTBEAT_S = 0.5
NAME = "beating@test"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(process_env: Mapping[str, str], settings: LazySettings, tmp_path: Path) -> Iterator[Start]:
    settings.HEARTBEAT_S = HEARTBEAT_S
    with ExitStack() as parts:

        def worker(docker_host: str, gpus: str = "") -> subprocess.Popen[bytes]:
            process = spawn(
                [
                    *(sys.executable, "-m", "celery", "-A", "evaluator.app", "worker"),
                    *("--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle"),
                    *("-n", NAME),
                ],
                tmp_path / "worker.log",
                death_signal="KILL",
                env={
                    **process_env,
                    "HEARTBEAT_S": str(HEARTBEAT_S),
                    "DOCKER_HOST": docker_host,
                    "TIDEMARK_GPUS": gpus,
                },
                cwd=ROOT,
            )
            parts.callback(end, process, 10)
            return process

        yield worker


def state() -> WorkerState | None:
    return next((row.state for row in worker_rows()), None)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OperationalError:
            connection.close()
        time.sleep(0.05)
    raise AssertionError(f"it did not happen in {DEADLINE_S:g} s; worker: {WorkerBeat.objects.values()}")


@pytest.mark.container
def test_a_worker_says_what_it_has_and_when_it_ends(start: Start, podman: Running) -> None:
    worker = start(podman.engine.docker_host, gpus="0,1")
    until(lambda: state() == WorkerState.ALIVE)
    beat = WorkerBeat.objects.get()
    assert (beat.name, beat.gpus, beat.problem) == (NAME, ["0", "1"], "")
    assert beat.engine == f"podman {podman.engine.version}"
    until(lambda: WorkerBeat.objects.get().seen_at > beat.seen_at)
    worker.send_signal(signal.SIGTERM)
    worker.wait(20)
    assert state() == WorkerState.STOPPED


def test_without_an_engine_a_worker_is_there_and_says_why_it_takes_nothing(
    start: Start, tmp_path: Path
) -> None:
    start(f"unix://{tmp_path}/no-engine.sock")
    until(lambda: state() == WorkerState.TROUBLED)
    assert "does not answer" in WorkerBeat.objects.get().problem


def test_a_killed_worker_is_lost_after_three_missed_beats(start: Start, tmp_path: Path) -> None:
    worker = start(f"unix://{tmp_path}/no-engine.sock")
    until(lambda: state() == WorkerState.TROUBLED)
    worker.kill()
    worker.wait()
    killed = time.monotonic()
    until(lambda: state() == WorkerState.LOST)
    assert time.monotonic() - killed > (MISSED_BEATS - 1) * HEARTBEAT_S - 0.1
    assert WorkerBeat.objects.get().stopped_at is None


def test_a_heartbeat_outlives_the_database(start: Start, tmp_path: Path, postgres_server: Postgres) -> None:
    start(f"unix://{tmp_path}/no-engine.sock")
    until(lambda: state() == WorkerState.TROUBLED)
    connection.close()
    postgres_server.restart()
    begun: list[object] = []

    def beats_again() -> bool:
        begun.append(WorkerBeat.objects.get().seen_at)
        return begun[-1] != begun[0]

    until(beats_again)
    assert state() == WorkerState.TROUBLED
