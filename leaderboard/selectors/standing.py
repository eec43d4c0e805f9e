"""A detector, and the top of a board, as they are cited outside of the site."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.board import Snapshot, Timeline, TimelineGenerator
from leaderboard.models import Benchmark, Step, Submission, Visibility
from leaderboard.selectors.predictions import unit_scores
from leaderboard.selectors.rows import BoardRow, board_rows
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standings import standings, timelines_of
from leaderboard.selectors.timelines import shown_edition
from protocols.contract import Phase
from protocols.states import StepState

# So many detectors are shown of a board where there is little room.
N_TOP = 5


@dataclass(frozen=True)
class Standing:
    """``row``: where it stands on the board that is ``shown``; a private entry stands on none, and has what
    its scores are now, unranked. ``None`` where there is nothing yet. ``n_ranked``: how many a rank is among.
    """

    submission: Submission
    shown: Shown | None
    row: BoardRow | None
    timeline: Timeline | None
    n_ranked: int = 0

    @property
    def is_public(self) -> bool:
        return self.submission.visibility == Visibility.PUBLIC


@dataclass(frozen=True)
class Top:
    """The best rows of a board, in the order of their ranks, of ``n_ranked``."""

    benchmark: Benchmark
    shown: Shown | None
    rows: tuple[BoardRow, ...] = ()
    n_ranked: int = 0


class ImageScores(NamedTuple):
    """What a checkpoint made of a generator's images: fakes and the reals paired with them, [n] each."""

    checkpoint: int
    generator: TimelineGenerator
    fakes: NDArray[np.float64]
    reals: NDArray[np.float64]


def standing(submission_id: uuid.UUID, user: object, asof: str = "") -> Standing | None:
    """On the present board, or for a public entry on the one that ``asof`` names.

    ``None`` when ``user`` may not see it. Four queries at the most for a public entry.
    """
    submission = (
        Submission.objects.visible_to(user)
        .entered()
        .select_related("team", "benchmark__corpus")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        return None
    if submission.visibility != Visibility.PUBLIC:
        return _private(submission)
    shown = shown_board(submission.benchmark, asof)
    if shown is None:
        return Standing(submission, None, None, None)
    board = shown.snapshot
    place = board.position_of.get(submission.pk)
    row = board_rows(board, [place])[0] if place is not None else None
    return Standing(submission, shown, row, board.timeline, board.n_ranked)


def _private(submission: Submission) -> Standing:
    """It stands on no board."""
    edition = shown_edition(submission.benchmark)
    if edition is None:
        return Standing(submission, None, None, None)
    timelines = timelines_of(edition)
    alone = Snapshot(standings(edition, Submission.objects.filter(pk=submission.pk), timelines), timelines)
    row = board_rows(alone, [0])[0] if len(alone) else None
    return Standing(submission, None, row, timelines.shown)


def top(benchmark: Benchmark, asof: str = "") -> Top:
    """Three queries at the most."""
    shown = shown_board(benchmark, asof)
    if shown is None:
        return Top(benchmark, None)
    board = shown.snapshot
    ranks = board.numbers("rank")
    best = np.flatnonzero(~np.isnan(ranks))
    best = best[np.argsort(ranks[best], kind="stable")][:N_TOP]
    return Top(benchmark, shown, board_rows(board, best.tolist()), board.n_ranked)


def image_scores(run_id: int, line: Timeline) -> Iterator[ImageScores]:
    """The stored scores of a run on the generators of a timeline, checkpoint by checkpoint. Two queries."""
    steps = Step.objects.filter(run=run_id, phase=Phase.PREDICT, state=StepState.SUCCEEDED).order_by("window")
    # A state that does not change has one key at every window.
    key_of = dict(steps.values_list("window", "key"))
    units = [g.unit_id for g in line.generators]
    stored = unit_scores(dict.fromkeys(key_of.values(), units))
    for window, key in key_of.items():
        for generator in line.generators:
            if found := stored.get((key, generator.unit_id)):
                fakes, reals = found.scores[: found.n_fakes], found.scores[found.n_fakes :]
                yield ImageScores(window, generator, fakes, reals)
