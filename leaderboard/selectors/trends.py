"""How a board's detectors stand from window to window, and what their quality costs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from leaderboard.board import Snapshot, Timeline
from leaderboard.models import Benchmark
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.views import View
from protocols.pareto import Candidate, front

# More lines than these can't be followed by eye.
MOST_LINES = 15
# Beside the front, so many of the best are drawn.
MOST_POINTS = 500


@dataclass(frozen=True)
class Line:
    """A detector's place in each forecast of the timeline: ``ranks`` and ``aurocs`` by Next of that window
    alone, ``None`` where it has no score. ``rank`` is the board's."""

    submission_id: uuid.UUID
    name: str
    team: str
    rank: int | None
    ranks: tuple[int | None, ...]
    aurocs: tuple[float | None, ...]

    @property
    def places(self) -> list[tuple[int | None, float | None]]:
        return list(zip(self.ranks, self.aurocs, strict=True))


@dataclass(frozen=True)
class Point:
    """A detector's headline and its seconds in containers.

    ``is_on_front``: no other is at least as good for no more, and better in one of the two.
    """

    submission_id: uuid.UUID
    name: str
    team: str
    null_row: str
    value: float
    low: float | None
    high: float | None
    cost_s: float
    is_on_front: bool


@dataclass(frozen=True)
class Trends:
    """``lines``: the best by the headline, best first. ``points``: the front by rising cost, then the best
    of the others, then the null rows, which are never on the front.

    ``n_ranked``: how many have a rank; ``n_priced``: how many have a headline and a cost.
    """

    benchmark: Benchmark
    view: View
    shown: Shown | None = None
    lines: tuple[Line, ...] = ()
    points: tuple[Point, ...] = ()
    n_ranked: int = 0
    n_priced: int = 0

    @property
    def timeline(self) -> Timeline | None:
        return self.shown.snapshot.timeline if self.shown else None

    @property
    def on_front(self) -> list[Point]:
        return [point for point in self.points if point.is_on_front]

    @property
    def off_front(self) -> list[Point]:
        return [point for point in self.points if not point.is_on_front]

    @property
    def n_drawn(self) -> int:
        """How many of those with a headline and a cost; null rows are no detectors."""
        return sum(not point.null_row for point in self.points)


def trends(benchmark: Benchmark, view: View | None = None) -> Trends:
    """The trends of the board that ``view`` names. The queries of :func:`shown_board`."""
    view = view or View()
    shown = shown_board(benchmark, view.asof)
    if shown is None:
        return Trends(benchmark, view)
    board = shown.snapshot
    is_ranked = ~np.isnan(board.numbers("rank"))
    # The table is best first.
    best = np.flatnonzero(is_ranked)[:MOST_LINES].tolist()
    points, n_priced = _points(board)
    return Trends(
        benchmark,
        view,
        shown=shown,
        lines=tuple(
            Line(
                uuid.UUID(row["detector"]),
                row["name"],
                row["team"],
                row["rank"],
                tuple(row["windows_rank"]),
                tuple(row["windows"]),
            )
            for row in board.rows(best)
        ),
        points=points,
        n_ranked=int(is_ranked.sum()),
        n_priced=n_priced,
    )


def _points(board: Snapshot) -> tuple[tuple[Point, ...], int]:
    """The points that are drawn, and of how many detectors they are the best."""
    values, costs = board.numbers("next"), board.numbers("cost_s")
    is_known = ~np.isnan(values) & ~np.isnan(costs)
    is_null = board.texts("null_row") != ""
    priced = np.flatnonzero(is_known & ~is_null).tolist()
    on_front = [int(name) for name in front([Candidate(str(i), values[i], costs[i]) for i in priced])]
    members = set(on_front)
    others = [i for i in priced if i not in members][:MOST_POINTS]
    drawn = [*on_front, *others, *np.flatnonzero(is_known & is_null).tolist()]
    points = tuple(
        Point(
            uuid.UUID(row["detector"]),
            row["name"],
            row["team"],
            row["null_row"],
            row["next"],
            row["next_low"],
            row["next_high"],
            row["cost_s"],
            position in members,
        )
        for position, row in zip(drawn, board.rows(drawn), strict=True)
    )
    return points, len(priced)
