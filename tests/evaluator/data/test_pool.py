"""Work in several processes, some of which crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest

from evaluator.data import pool
from evaluator.data.pool import map_ordered

pytestmark = pytest.mark.processes


def double_or_die(n: int) -> int:
    """Twice ``n``; a multiple of 7 ends the process as a crash in native code does."""
    if n % 7 == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(0.01 if n % 2 else 0)
    return 2 * n


def double(n: int) -> int:
    return 2 * n


def refuse(n: int) -> int:
    raise ValueError(n)


def allocate(n: int) -> int:
    return len(bytearray(n))


def pid_of(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_crashes_stay_alone(workers: int) -> None:
    results = list(map_ordered(double_or_die, range(16), crashed=lambda n: -n, workers=workers))
    assert results == [(n, -n if n % 7 == 0 else 2 * n) for n in range(16)]


def test_a_crash_without_a_substitute_is_raised() -> None:
    with pytest.raises(BrokenProcessPool):
        list(map_ordered(double_or_die, [1, 7], workers=1))


def test_errors_are_raised() -> None:
    with pytest.raises(ValueError, match="5"):
        list(map_ordered(refuse, [5]))


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    results = map_ordered(double, items(), workers=2)
    for _ in range(10):
        next(results)
    results.close()
    assert len(taken) <= 10 + 2 * 2


def test_memory_is_bounded() -> None:
    with pytest.raises(MemoryError):
        list(map_ordered(allocate, [2 * pool.MEMORY_BYTES]))


def test_processes_end_with_the_caller() -> None:
    pids = {pid for _, pid in map_ordered(pid_of, range(20))}
    assert os.getpid() not in pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_nothing_is_left_of_a_caller_that_is_killed() -> None:
    code = """
import os, sys
from evaluator.data.pool import map_ordered
from tests.evaluator.data.test_pool import pid_of
results = map_ordered(pid_of, iter(int, 1), workers=2)
print(*{next(results)[1] for _ in range(50)}, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        family = [*psutil.Process(process.pid).children(recursive=True), *workers]
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert workers
    assert not alive
