"""Leaderboards, as a view of a board asks for them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
from django.db.models import Avg, Count, Exists, OuterRef, Q

from leaderboard.board import Snapshot, Timeline
from leaderboard.models import Benchmark, Edition, Run, RunScore, Submission, Visibility
from leaderboard.selectors.rows import BoardRow, board_rows
from leaderboard.selectors.selection import families_of, known_order, n_pages, ordered, page_of, selected
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standings import standings, timelines_of
from leaderboard.selectors.views import HEADLINE, View
from protocols.periods import Period
from protocols.states import LIVE_RUN, RunState, StepState

# So many of those that are under way, and of the reader's own private entries, are listed.
MOST_LIVE = 50
MOST_OWN = 50


@dataclass(frozen=True)
class LiveRow:
    """A run that is under way. ``progress``: share done, 0 to 1."""

    submission_id: uuid.UUID
    name: str
    team: str
    run_id: int
    run_state: RunState
    progress: float
    n_done: int
    n_steps: int


@dataclass(frozen=True)
class Coming:
    """An edition that is being computed while the board still shows the one before it."""

    number: int
    n_ended: int
    n_runs: int


@dataclass(frozen=True)
class Board:
    """One page of a board. ``rows`` is sorted as the view asks; ``own`` are private entries that the
    reader may see, unranked; ``live`` are runs whose results are still to come. A view as of some
    moment has neither, so that it stays what it is.

    ``n_rows``: how many the filters leave, ``n_all``: how many stand on the board. ``n_stale``: how
    many runs are being scored anew since a generator was withdrawn or re-dated. ``shown`` is ``None``
    where there is no such board.
    """

    benchmark: Benchmark
    view: View
    shown: Shown | None = None
    order: str = HEADLINE
    rows: tuple[BoardRow, ...] = ()
    n_rows: int = 0
    n_all: int = 0
    families: tuple[str, ...] = ()
    own: tuple[BoardRow, ...] = ()
    live: tuple[LiveRow, ...] = ()
    coming: Coming | None = None
    n_stale: int = 0

    @property
    def timeline(self) -> Timeline | None:
        return self.shown.snapshot.timeline if self.shown else None

    @property
    def n_pages(self) -> int:
        return n_pages(self.n_rows)

    @property
    def is_changing(self) -> bool:
        """Whether something is being computed that this page will show."""
        return bool(self.live or self.coming or self.n_stale)


def leaderboard(benchmark: Benchmark, user: object, view: View | None = None) -> Board:
    """A page of the board, with what ``user`` may see besides. A constant number of queries."""
    view = view or View()
    shown = shown_board(benchmark, view.asof)
    if shown is None:
        return Board(benchmark, view)
    board = shown.snapshot
    order = known_order(view, len(board.timeline.forecasts), is_continual=benchmark.is_continual)
    positions = ordered(board, view, order, selected(board, view))
    is_current = shown.is_present and not view.asof
    edition = benchmark.editions.filter(number=shown.edition).first() if is_current else None
    return Board(
        benchmark,
        view,
        shown=shown,
        order=order,
        rows=board_rows(board, page_of(positions, view.page), view),
        n_rows=len(positions),
        n_all=len(board),
        families=families_of(board),
        own=own_rows(edition, user) if edition else (),
        live=_live(benchmark, edition, user) if edition else (),
        coming=_coming(benchmark, edition) if edition else None,
        n_stale=Run.objects.filter(edition=edition, stale_since__isnull=False).count() if edition else 0,
    )


def own_rows(edition: Edition, user: object) -> tuple[BoardRow, ...]:
    """The private entries of ``edition`` that ``user`` may see, computed as they stand now."""
    private = Submission.objects.visible_to(user).filter(
        visibility=Visibility.PRIVATE, benchmark=edition.benchmark_id
    )
    if not getattr(user, "is_authenticated", False) or not private.entered().exists():
        return ()
    timelines = timelines_of(edition)
    newest = private.entered().order_by("-accepted_at").values("pk")[:MOST_OWN]
    table = standings(
        edition, Submission.objects.filter(pk__in=list(newest.values_list("pk", flat=True))), timelines
    )
    board = Snapshot(table, timelines)
    return board_rows(board, ordered(board, View(), HEADLINE, np.ones(len(board), dtype=bool)))


def _live(benchmark: Benchmark, edition: Edition, user: object) -> tuple[LiveRow, ...]:
    """Runs under way of detectors that have no headline on ``edition`` yet, the oldest first."""
    scored = RunScore.objects.filter(
        run__edition=edition, run__submission=OuterRef("submission"), period=Period.NEXT, value__isnull=False
    )
    runs = (
        Run.objects.filter(
            ~Exists(scored),
            edition__benchmark=benchmark,
            edition__number__gte=edition.number,
            state__in=LIVE_RUN,
            submission__in=Submission.objects.visible_to(user).entered().filter(null_row=""),
        )
        .select_related("submission__team")
        .annotate(
            share=Avg("steps__progress"),
            n_done=Count("steps", filter=Q(steps__state=StepState.SUCCEEDED)),
            n_steps=Count("steps"),
        )
        .order_by("created_at", "pk")[:MOST_LIVE]
    )
    return tuple(
        LiveRow(
            submission_id=run.submission_id,
            name=run.submission.name,
            team=run.submission.team.name,
            run_id=run.pk,
            run_state=RunState(run.state),
            progress=run.share or 0.0,
            n_done=run.n_done,
            n_steps=run.n_steps,
        )
        for run in runs
    )


def _coming(benchmark: Benchmark, shown: Edition) -> Coming | None:
    newest = (
        benchmark.editions.filter(opened_at__isnull=False, number__gt=shown.number)
        .order_by("-number")
        .annotate(
            n_runs=Count("runs", filter=Q(runs__submission__null_row="")),
            n_live=Count("runs", filter=Q(runs__state__in=LIVE_RUN)),
        )
        .first()
    )
    return Coming(newest.number, newest.n_runs - newest.n_live, newest.n_runs) if newest else None
