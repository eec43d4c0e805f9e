"""The heat map of first contact, as a view of a board asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaderboard.board import Timeline, TimelineGenerator
from leaderboard.models import Benchmark
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.selection import (
    Focus,
    families_of,
    focuses,
    known_order,
    n_pages,
    ordered,
    page_of,
    selected,
)
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.views import View


@dataclass(frozen=True)
class Contact(Estimate):
    """The AUROC of a first contact, which is final.

    ``prospective``: the image was sealed before the generator's images were published;
    ``None`` where there is no first contact yet.
    """

    prospective: bool | None = None


@dataclass(frozen=True)
class ContactRow:
    """``cells``: the first contact with each generator of the heat map."""

    entry: Entry
    cells: tuple[Contact, ...]
    focus: Focus | None = None


@dataclass(frozen=True)
class ContactMap:
    """Detectors × ``generators`` in release order; those ``without`` one were trained on from the start."""

    benchmark: Benchmark
    view: View
    shown: Shown | None = None
    generators: tuple[TimelineGenerator, ...] = ()
    without: tuple[TimelineGenerator, ...] = ()
    rows: tuple[ContactRow, ...] = ()
    n_rows: int = 0
    families: tuple[str, ...] = ()

    @property
    def timeline(self) -> Timeline | None:
        return self.shown.snapshot.timelines.contacts if self.shown else None

    @property
    def n_pages(self) -> int:
        return n_pages(self.n_rows)


def first_contact(benchmark: Benchmark, view: View | None = None) -> ContactMap:
    """Every detector's AUROC on every generator before it could learn from it, as it was kept for good.

    Generators that every detector was trained on from the start have no first contact. A constant
    number of queries.
    """
    view = view or View()
    shown = shown_board(benchmark, view.asof)
    if shown is None:
        return ContactMap(benchmark, view)
    board = shown.snapshot
    generators = board.timelines.contacts.generators
    is_met = ~np.isnan(board.matrix("contacts")) if len(board) else np.zeros((0, len(generators)), dtype=bool)
    met_by_any = np.asarray(is_met.any(axis=0))
    columns = [
        j
        for j, g in enumerate(generators)
        if (g.window or met_by_any[j]) and (not view.family or g.family == view.family)
    ]
    order = known_order(view, len(board.timeline.forecasts))
    positions = ordered(board, view, order, selected(board, view))
    page = page_of(positions, view.page)

    def row(found: Mapping[str, Any], focus: Focus | None) -> ContactRow:
        cells = tuple(
            Contact(
                found["contacts"][j],
                found["contacts_low"][j],
                found["contacts_high"][j],
                found["prospective"][j],
            )
            for j in columns
        )
        return ContactRow(entry_of(found), cells, focus)

    return ContactMap(
        benchmark,
        view,
        shown=shown,
        generators=tuple(generators[j] for j in columns),
        without=tuple(g for j, g in enumerate(generators) if not g.window and not met_by_any[j]),
        rows=tuple(map(row, board.rows(page), focuses(board, view, page))),
        n_rows=len(positions),
        families=families_of(board),
    )
