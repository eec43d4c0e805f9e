"""Leaderboards and heat maps of first contact, as a view of a board asks for them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Avg, Count, Exists, OuterRef, Q
from numpy.typing import NDArray

from leaderboard.board import MEANS, Floats, Snapshot, Timeline, TimelineGenerator
from leaderboard.models import Benchmark, Edition, Run, RunScore, Submission, TrainingMode, Visibility
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standings import standings, timelines_of
from leaderboard.selectors.views import HEADLINE, View
from protocols.periods import Period
from protocols.states import LIVE_RUN, RunState, StepState

N_LEADERS = 5
PAGE_ROWS = 50
# So many of those that are under way, and of the reader's own private entries, are listed.
MOST_LIVE = 50
MOST_OWN = 50

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
class Kept:
    """What a detector keeps while it goes on learning, with ranks: less forgetting, more transfer."""

    forgetting: float | None = None
    forgetting_rank: int | None = None
    backward: float | None = None
    backward_rank: int | None = None


@dataclass(frozen=True)
class Focus:
    """The mean of the first contacts with the generators that a view looks at, and of how many it is."""

    value: float | None
    n: int


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
    def is_continual(self) -> bool:
        return self.benchmark.training_mode == TrainingMode.CONTINUAL

    @property
    def n_pages(self) -> int:
        return max(1, -(-self.n_rows // PAGE_ROWS))

    @property
    def is_changing(self) -> bool:
        """Whether something is being computed that this page will show."""
        return bool(self.live or self.coming or self.n_stale)


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
        return max(1, -(-self.n_rows // PAGE_ROWS))


@dataclass(frozen=True)
class BenchmarkSummary:
    """A benchmark with the detectors that lead its present board."""

    benchmark: Benchmark
    shown: Shown | None
    n_entries: int
    leaders: tuple[BoardRow, ...] = ()

    @property
    def n_generators(self) -> int:
        """How many generators its detectors are scored on."""
        return len(self.shown.snapshot.timelines.contacts.generators) if self.shown else 0


def leaderboard(benchmark: Benchmark, user: object, view: View | None = None) -> Board:
    """A page of the board, with what ``user`` may see besides. A constant number of queries."""
    view = view or View()
    shown = shown_board(benchmark, view.asof)
    if shown is None:
        return Board(benchmark, view)
    board = shown.snapshot
    order = known_order(view, len(board.timeline.forecasts), is_continual=_is_continual(benchmark))
    kept = selected(board, view)
    positions = ordered(board, view, order, kept)
    first = (view.page - 1) * PAGE_ROWS
    page = positions[first : first + PAGE_ROWS]
    is_current = shown.is_present and not view.asof
    edition = benchmark.editions.filter(number=shown.edition).first() if is_current else None
    return Board(
        benchmark,
        view,
        shown=shown,
        order=order,
        rows=board_rows(board, page, view),
        n_rows=len(positions),
        n_all=len(board),
        families=families_of(board),
        own=own_rows(edition, user) if edition else (),
        live=_live(benchmark, edition, user) if edition else (),
        coming=_coming(benchmark, edition) if edition else None,
        n_stale=Run.objects.filter(edition=edition, stale_since__isnull=False).count() if edition else 0,
    )


def _is_continual(benchmark: Benchmark) -> bool:
    return benchmark.training_mode == TrainingMode.CONTINUAL


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


def families_of(board: Snapshot) -> tuple[str, ...]:
    """The families of the generators that detectors meet."""
    return tuple(sorted({g.family for g in board.timelines.contacts.generators if g.family}))


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def board_rows(board: Snapshot, positions: Sequence[int], view: View | None = None) -> tuple[BoardRow, ...]:
    """Rows of a board as the page shows them."""
    means, counts = focus(board, view) if view and view.is_focused else (None, None)
    ranks = board.numbers("rank")

    def row(position: int, found: Mapping[str, Any]) -> BoardRow:
        focused = None
        if means is not None and counts is not None:
            focused = Focus(_number(means[position]), int(counts[position]))
        return BoardRow(
            entry=entry_of(found),
            windows=_estimates(found, "windows"),
            window_ranks=tuple(found["windows_rank"]),
            cost_s=found["cost_s"],
            n_sharing=int((ranks == found["rank"]).sum()) if found["rank"] else 0,
            kept=Kept(
                found["forgetting"], found["forgetting_rank"], found["backward"], found["backward_rank"]
            ),
            focus=focused,
        )

    return tuple(map(row, positions, board.rows(positions)))


def _estimates(row: Mapping[str, Any], column: str) -> tuple[Estimate, ...]:
    parts = (row[column], row[f"{column}_low"], row[f"{column}_high"])
    return tuple(map(Estimate, *parts))


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
    keep = selected(board, view)
    order = known_order(view, len(board.timeline.forecasts))
    positions = ordered(board, view, order, keep)
    first = (view.page - 1) * PAGE_ROWS
    page = positions[first : first + PAGE_ROWS]
    means, counts = focus(board, view) if view.is_focused else (None, None)

    def row(position: int, found: Mapping[str, Any]) -> ContactRow:
        cells = tuple(
            Contact(
                found["contacts"][j],
                found["contacts_low"][j],
                found["contacts_high"][j],
                found["prospective"][j],
            )
            for j in columns
        )
        focused = None
        if means is not None and counts is not None:
            focused = Focus(_number(means[position]), int(counts[position]))
        return ContactRow(entry_of(found), cells, focused)

    return ContactMap(
        benchmark,
        view,
        shown=shown,
        generators=tuple(generators[j] for j in columns),
        without=tuple(g for j, g in enumerate(generators) if not g.window and not met_by_any[j]),
        rows=tuple(map(row, page, board.rows(page))),
        n_rows=len(positions),
        families=families_of(board),
    )


def benchmark_summaries(user: object) -> list[BenchmarkSummary]:
    """Every benchmark with the leaders of its present board, those that have some first.

    Two queries, and three for each benchmark.
    """
    visible = Submission.objects.visible_to(user).entered().filter(null_row="")
    n_entries: dict[int, int] = defaultdict(int)
    n_entries.update(visible.order_by().values_list("benchmark").annotate(n=Count("pk")))
    summaries = []
    for benchmark in Benchmark.objects.select_related("corpus"):
        shown = shown_board(benchmark)
        leaders: tuple[BoardRow, ...] = ()
        if shown is not None:
            ranks = shown.snapshot.numbers("rank")
            leaders = board_rows(shown.snapshot, np.flatnonzero(~np.isnan(ranks))[:N_LEADERS].tolist())
        summaries.append(BenchmarkSummary(benchmark, shown, n_entries[benchmark.pk], leaders))
    return sorted(summaries, key=lambda summary: not summary.leaders)
