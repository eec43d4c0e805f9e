"""The headers of a board: links that sort it, without script."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboard.board import LESS_IS_BETTER
from leaderboard.selectors.boards import SORTABLE
from leaderboard.selectors.views import View


@dataclass(frozen=True)
class Column:
    """A header that sorts: ``query`` is that of the view that a click asks for."""

    key: str
    query: str
    aria_sort: str


def columns(view: View, order: str, n_forecasts: int) -> dict[str, Column]:
    """The state of every sortable header of a board that is in ``order``. The best comes first."""
    keys = ["name", *SORTABLE, *(f"w{k + 1}" for k in range(n_forecasts))]
    return {key: _column(view, order, key) for key in keys}


def _column(view: View, order: str, key: str) -> Column:
    rises_first = key == "name" or SORTABLE.get(key) in LESS_IS_BETTER
    first, second = (key, f"-{key}") if rises_first else (f"-{key}", key)
    sorted_as = {f"-{key}": "descending", key: "ascending"}.get(order, "none")
    return Column(key, view.query(sort=second if order == first else first, page=1), sorted_as)
