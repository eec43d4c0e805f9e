"""How the commands of this package speak to a person at a terminal."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tidemark.tables import WholeTable

console = Console(highlight=False)
# How often a progress bar asks anew, in seconds.
POLL_S = 1.0


def say(sentence: str) -> None:
    """One sentence about what happens now; a path or an address in it stays whole."""
    console.print(sentence, markup=False, soft_wrap=True)


def say_table(table: WholeTable) -> None:
    """A table, and an empty line after it."""
    console.print(table, markup=False, soft_wrap=True)
    say("")


@contextlib.contextmanager
def until_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does: take everything down and leave, without a traceback.

    Further ones are ignored: they would cut off the taking down, whose every wait has its limit.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        say("\nStopping …")
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def fail(error: Exception) -> int:
    """Say what is wrong, on standard error; the exit code for it."""
    Console(stderr=True, highlight=False).print(f"{error}", style="red", markup=False, soft_wrap=True)
    return 1


def bars() -> Progress:
    """Progress bars with a description, a share, the time so far and what is going on (``activity``)."""
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[activity]}", markup=False),
        console=console,
    )
