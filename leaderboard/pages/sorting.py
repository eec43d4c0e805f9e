"""Sorting a board by a column, with links that need no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.selectors.boards import BoardRow

# By the headline, highest first: the order of the ranking.
DEFAULT = "-next"

Key = Callable[[BoardRow], Any]
KEPT: dict[str, tuple[Key, bool]] = {
    "forgetting": (lambda row: row.kept.forgetting, False),
    "backward": (lambda row: row.kept.backward, True),
}


@dataclass(frozen=True)
class Column:
    """A header that sorts: ``link`` is the order that a click asks for."""

    link: str
    aria_sort: str


def keys(n_forecasts: int, *, is_continual: bool = False) -> dict[str, tuple[Key, bool]]:
    """Each column's key, and whether its first click puts the highest on top.

    Continual training has columns of its own; of forgetting, less is better.
    """

    def forecast(position: int) -> Callable[[BoardRow], float | None]:
        return lambda row: row.windows[position].value

    return {
        "next": (lambda row: row.entry.next.estimate.value, True),
        "past": (lambda row: row.entry.past.estimate.value, True),
        "whole": (lambda row: row.entry.whole.estimate.value, True),
        "name": (lambda row: row.entry.name.casefold(), False),
        "cost": (lambda row: row.steps.cost_s, False),
        **(KEPT if is_continual else {}),
        **{f"w{position + 1}": (forecast(position), True) for position in range(n_forecasts)},
    }


def known_order(order: str, n_forecasts: int, *, is_continual: bool = False) -> str:
    """``order`` (a column, with "-" for highest first) if there is such a column, else the default."""
    known = keys(n_forecasts, is_continual=is_continual)
    return order if order.removeprefix("-") in known else DEFAULT


def sort_rows(rows: Sequence[BoardRow], order: str, n_forecasts: int) -> list[BoardRow]:
    """Rows by a known order. Those without a value come last, whichever way."""
    key, _ = keys(n_forecasts, is_continual=True)[order.removeprefix("-")]
    present = [row for row in rows if key(row) is not None]
    missing = [row for row in rows if key(row) is None]
    return sorted(present, key=key, reverse=order.startswith("-")) + missing


def columns(order: str, n_forecasts: int, *, is_continual: bool = False) -> dict[str, Column]:
    """The state of every sortable header under ``order``."""
    result = {}
    for name, (_, high_first) in keys(n_forecasts, is_continual=is_continual).items():
        first, second = (f"-{name}", name) if high_first else (name, f"-{name}")
        sorted_as = {f"-{name}": "descending", name: "ascending"}.get(order, "none")
        result[name] = Column(second if order == first else first, sorted_as)
    return result
