"""Rows of a board as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.board import Snapshot
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.selection import Focus, focuses
from leaderboard.selectors.views import View


@dataclass(frozen=True)
class Kept:
    """What a detector keeps while it goes on learning, with ranks: less forgetting, more transfer."""

    forgetting: float | None = None
    forgetting_rank: int | None = None
    backward: float | None = None
    backward_rank: int | None = None


@dataclass(frozen=True)
class BoardRow:
    """``windows``: the Next AUROC on each of the timeline's ``forecasts``, with the rank by it alone.

    ``n_sharing``: how many detectors have its rank, itself among them; 0 without one. ``kept`` is there
    on benchmarks with continual training alone, ``focus`` where the view has one.
    """

    entry: Entry
    windows: tuple[Estimate, ...]
    window_ranks: tuple[int | None, ...]
    cost_s: float | None
    n_sharing: int = 0
    kept: Kept = field(default_factory=Kept)
    focus: Focus | None = None

    @property
    def forecasts(self) -> list[tuple[Estimate, int | None]]:
        return list(zip(self.windows, self.window_ranks, strict=True))


def board_rows(board: Snapshot, positions: Sequence[int], view: View | None = None) -> tuple[BoardRow, ...]:
    """The rows at these positions, with what ``view`` looks at."""
    ranks = board.numbers("rank")

    def row(found: Mapping[str, Any], focus: Focus | None) -> BoardRow:
        return BoardRow(
            entry=entry_of(found),
            windows=_estimates(found, "windows"),
            window_ranks=tuple(found["windows_rank"]),
            cost_s=found["cost_s"],
            n_sharing=int((ranks == found["rank"]).sum()) if found["rank"] else 0,
            kept=Kept(
                found["forgetting"], found["forgetting_rank"], found["backward"], found["backward_rank"]
            ),
            focus=focus,
        )

    return tuple(map(row, board.rows(positions), focuses(board, view, positions)))


def _estimates(row: Mapping[str, Any], column: str) -> tuple[Estimate, ...]:
    parts = (row[column], row[f"{column}_low"], row[f"{column}_high"])
    return tuple(map(Estimate, *parts))
