"""Which rows of a board a view shows, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leaderboard.board import MEANS, Floats, Snapshot
from leaderboard.selectors.views import HEADLINE, View

PAGE_ROWS = 50
# It knows the answers, so it is shown, and nobody is put in order by it.
ORACLE = "best_balanced_accuracy"
# The columns that a board sorts by, beside the forecasts w1, w2, …: the table's name of each.
SORTABLE = {
    "next": "next",
    "past": "past",
    "whole": "whole",
    "cost": "cost_s",
    "seeds": "seeds",
    "focus": "focus",
    "forgetting": "forgetting",
    "backward": "backward",
    **{name: name for name in MEANS if name != ORACLE},
}


@dataclass(frozen=True)
class Focus:
    """The mean of the first contacts with the generators that a view looks at, and of how many it is."""

    value: float | None
    n: int


def known_order(view: View, n_forecasts: int, *, is_continual: bool = False) -> str:
    """The order of a view, if the board has such a column, or else its natural one."""
    natural = "-focus" if view.is_focused else HEADLINE
    column = view.sort.removeprefix("-")
    known = {"name", *SORTABLE, *(f"w{k + 1}" for k in range(n_forecasts))}
    if not is_continual:
        known -= {"forgetting", "backward"}
    if not view.is_focused:
        known -= {"focus"}
    return view.sort if column in known else natural


def selected(board: Snapshot, view: View) -> NDArray[np.bool_]:
    """Which rows a view's filters leave [rows]. Null rows stay whatever is asked of detectors."""
    is_null = board.texts("null_row") != ""
    keep = np.ones(len(board), dtype=bool)
    if view.track:
        keep &= board.texts("track") == view.track
    if view.pretraining:
        keep &= _pretraining(board, view.pretraining)
    if view.seeds > 1:
        keep &= n_seeds(board) >= view.seeds
    keep |= is_null
    if view.q:
        words = view.q.casefold()
        names, teams = board.texts("name"), board.texts("team")
        keep &= np.array(
            [words in n.casefold() or words in t.casefold() for n, t in zip(names, teams, strict=True)],
            dtype=bool,
        )
    if view.prospective:
        keep &= (board.matrix("prospective") == 1).any(axis=1)
    return keep


def _pretraining(board: Snapshot, asked: str) -> NDArray[np.bool_]:
    cutoffs = board.table["declared_cutoff"].to_numpy()
    declared: NDArray[np.bool_] = ~np.isnat(cutoffs)
    if asked == "undeclared":
        return ~declared
    forecasts = board.timeline.forecasts
    if asked == "before" and forecasts:
        declared &= cutoffs < np.datetime64(forecasts[0].released_from)
    return declared


def n_seeds(board: Snapshot) -> Floats:
    counts: Floats = board.table["seeds"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    return counts


def ordered(board: Snapshot, view: View, order: str, keep: NDArray[np.bool_]) -> list[int]:
    """The positions of the rows that are kept, in ``order``; those without a value come last either way."""
    column, descends = order.removeprefix("-"), order.startswith("-")
    if column == "name":
        names = board.texts("name").tolist()
        positions = sorted(np.flatnonzero(keep).tolist(), key=lambda i: names[i].casefold())
        return positions[::-1] if descends else positions
    values = _values(board, view, column)
    known = np.flatnonzero(keep & ~np.isnan(values))
    # The table is in the order of the ranking, and a stable sort keeps it among equals.
    sorting = np.argsort(-values[known] if descends else values[known], kind="stable")
    missing = np.flatnonzero(keep & np.isnan(values))
    return [*known[sorting].tolist(), *missing.tolist()]


def _values(board: Snapshot, view: View, column: str) -> Floats:
    if column == "focus":
        return focus(board, view)[0]
    if column == "seeds":
        return n_seeds(board).astype(np.float64)
    if column in SORTABLE:
        return board.numbers(SORTABLE[column])
    return board.matrix("windows")[:, int(column[1:]) - 1]


def page_of(positions: Sequence[int], page: int) -> Sequence[int]:
    """Those of a page, counted from 1."""
    first = (page - 1) * PAGE_ROWS
    return positions[first : first + PAGE_ROWS]


def n_pages(n_rows: int) -> int:
    """An empty board has one page."""
    return max(1, -(-n_rows // PAGE_ROWS))


def focus(board: Snapshot, view: View) -> tuple[Floats, NDArray[np.int64]]:
    """The mean of each row's first contacts that the view looks at [rows], and of how many [rows].

    With a family, a mean is missing where one of its generators was not met; prospective contacts
    are those that there are, and how many is shown.
    """
    generators = board.timelines.contacts.generators
    chosen = np.array([not view.family or g.family == view.family for g in generators], dtype=bool)
    contacts = board.matrix("contacts")[:, chosen] if len(board) else np.empty((0, 0))
    is_met = ~np.isnan(contacts)
    if view.prospective:
        is_met &= board.matrix("prospective")[:, chosen] == 1
    counts = is_met.sum(axis=1)
    means = np.where(is_met, contacts, 0.0).sum(axis=1) / np.maximum(counts, 1)
    needed = np.ones(len(board), dtype=int)
    if not view.prospective:
        # Generators that nobody can meet, of the first window, are missing for all.
        needed = np.maximum(needed, is_met.any(axis=0).sum())
    return np.where(counts >= needed, means, np.nan), counts


def focuses(board: Snapshot, view: View | None, positions: Sequence[int]) -> list[Focus | None]:
    """What each of these rows has of the generators that the view looks at; nothing without such a view."""
    if view is None or not view.is_focused:
        return [None] * len(positions)
    means, counts = focus(board, view)
    return [Focus(None if np.isnan(means[i]) else float(means[i]), int(counts[i])) for i in positions]


def families_of(board: Snapshot) -> tuple[str, ...]:
    """The families of the generators that detectors meet."""
    return tuple(sorted({g.family for g in board.timelines.contacts.generators if g.family}))
