"""Progress bars of what a command does, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from tidemark.results import lines_of
from tidemark.show import terminal
from tidemark.watch import Standing


class Bars:
    """A bar for each part, from when it begins: packing, uploading, checking."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            console=terminal(stderr=True),
        )
        self._of: dict[str, TaskID] = {}

    def saving(self) -> None:
        self._show("Saving", None, None, "the image")

    def inspecting(self) -> None:
        self._show("Inspecting", None, None, "the archive")

    def packing(self, n_files: int) -> None:
        self._show("Packing", None, None, f"{n_files:,} files")

    def uploading(self, sent: int, size: int) -> None:
        self._show("Uploading", sent, size, f"{sent / 1e6:,.1f} of {size / 1e6:,.1f} MB")

    def checking(self, share: float, activity: str) -> None:
        self._show("Checking", share, 1.0, f"{share:.0%} {activity}")

    def _show(self, part: str, done: float | None, total: float | None, amount: str) -> None:
        if part not in self._of:
            self._end_others()
            self._of[part] = self._bars.add_task(part, total=total, amount=amount)
        self._bars.update(self._of[part], completed=done, total=total, amount=amount)

    def _end_others(self) -> None:
        for bar in self._of.values():
            self._bars.update(bar, completed=1, total=1)
            self._bars.stop_task(bar)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end_others()
        self._bars.stop()


class Follow:
    """An entry on its way: a bar that moves on a terminal, and a line for every change elsewhere."""

    def __init__(self) -> None:
        self._console = terminal(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[said]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("…", total=1.0, said="")
        self._said = ""

    def show(self, now: Standing) -> None:
        said = "; ".join(lines_of(now))
        self._bar.update(
            self._task, description=f"{now.name}: {now.state}", completed=now.progress, said=said
        )
        if not self._console.is_terminal and (line := f"{now.name}: {now.state}; {said}") != self._said:
            self._console.print(line)
            self._said = line

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
