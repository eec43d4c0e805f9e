"""Progress bars of what a maintainer's command does, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from tidemark.show import terminal


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
