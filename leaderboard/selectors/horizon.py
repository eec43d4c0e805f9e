"""How one detector ages: its scores by the months between what it has learnt from and what it meets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import accumulate

from django.db.models import Max

from leaderboard.board import Timeline
from leaderboard.models import Edition
from leaderboard.selectors.estimates import Estimate
from protocols.horizon import Horizon, Point, horizon, months_between


def frontiers(edition: Edition) -> tuple[date, ...]:
    """After each window of ``edition``, the newest release date that a detector has been trained on."""
    newest = edition.windows.annotate(released=Max("generators__release_date")).order_by("index")
    # A corrected date may lie before an earlier window's, and what was learnt stays learnt.
    return tuple(accumulate((window.released or date.min for window in newest), max))


def detector_horizon(
    edition: Edition, line: Timeline, matrix: Sequence[Sequence[Estimate]]
) -> tuple[tuple[date, ...], Horizon]:
    """The frontiers, and the horizon of a run whose AUROCs are ``matrix[k][j]`` (one query)."""
    dates = frontiers(edition)
    points = [
        Point(months_between(frontier, generator.release_date), cell.value, k, generator.slug)
        for k, (frontier, row) in enumerate(zip(dates, matrix, strict=True))
        for generator, cell in zip(line.generators, row, strict=True)
        if cell.value is not None
    ]
    return dates, horizon(points)
