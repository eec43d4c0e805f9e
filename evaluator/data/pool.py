"""Work on many images in several processes, in order, surviving a decoder that crashes or hangs.

Processes come from a fork server: a worker of ours runs tasks in threads, and forking a process
that has threads may hang. They end with their parent, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEM_S = 120
MEMORY_BYTES = 6 * 2**30

_context = multiprocessing.get_context("forkserver")
# Imported once in the fork server, these cost each process nothing.
_context.set_forkserver_preload(["__main__", "evaluator.data.jobs"])


def cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    crashed: Callable[[Item], Result] | None = None,
    workers: int | None = None,
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with its result, in order; only a few items are in flight at a time.

    ``function`` must be importable without Django. An item that takes its process down, by a
    crash or by more than ``ITEM_S`` seconds, has the result ``crashed(item)``; without
    ``crashed`` it raises ``BrokenProcessPool``. What ``function`` raises is raised here.
    """
    count = workers or cpus()
    source = iter(items)
    flying: deque[tuple[Item, Future[Result]]] = deque()
    executor = _executor(count)
    try:
        while True:
            for item in islice(source, 2 * count - len(flying)):
                flying.append((item, executor.submit(_timed, function, item)))
            if not flying:
                return
            item, future = flying.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                # One of those in flight did it, and nothing tells which.
                result = _alone(function, item, crashed)
                executor.shutdown(cancel_futures=True)
                executor = _executor(count)
                flying = deque(
                    (i, f if _succeeded(f) else executor.submit(_timed, function, i)) for i, f in flying
                )
            yield item, result
    finally:
        executor.shutdown(cancel_futures=True)


def _alone(
    function: Callable[[Item], Result], item: Item, crashed: Callable[[Item], Result] | None
) -> Result:
    """The result of one item that was there when a process died, from a process of its own."""
    with _executor(1) as executor:
        try:
            return executor.submit(_timed, function, item).result()
        except BrokenProcessPool:
            if crashed is None:
                raise
            return crashed(item)


def _succeeded(future: Future[Result]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_context, initializer=_start)


def _start() -> None:
    # Ctrl-C reaches every process of the terminal; only the parent acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _timed(function: Callable[[Item], Result], item: Item) -> Result:
    # The alarm's default action ends the process even where native code does not return.
    signal.alarm(ITEM_S)
    try:
        return function(item)
    finally:
        signal.alarm(0)
