"""Single entries as their scores stand now, with the ranks that the present board gives them."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet

from leaderboard.board import Timelines
from leaderboard.models import Edition, Submission
from leaderboard.selectors.snapshots import Shown
from leaderboard.selectors.standings import standings

RANKS = ("rank", "rank_best", "rank_worst")


def present_rows(
    submissions: QuerySet[Submission], edition: Edition, timelines: Timelines, shown: Shown | None
) -> dict[uuid.UUID, dict[str, Any]]:
    """The rows of ``submissions`` as a board made now would have them, by id.

    What has no result yet has none. A constant number of queries.
    """
    rows = {uuid.UUID(row["detector"]): row for row in standings(edition, submissions, timelines).to_pylist()}
    if shown is None:
        return rows
    places = {pk: shown.snapshot.position_of[pk] for pk in rows if pk in shown.snapshot.position_of}
    for pk, on_board in zip(places, shown.snapshot.rows(list(places.values())), strict=True):
        rows[pk] |= {name: on_board[name] for name in RANKS}
    return rows
