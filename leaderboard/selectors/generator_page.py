"""One generator: where its images come from, what they give away, and how detectors met it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from leaderboard.board import Floats, Snapshot
from leaderboard.models import Batch, Benchmark, FirstContact, Generator
from leaderboard.selectors import visible
from leaderboard.selectors.arrivals import Met, Place, met_by_generator, places_of
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.selection import n_pages, page_of
from leaderboard.selectors.snapshots import shown_board
from protocols.states import BatchState


@dataclass(frozen=True)
class Contact:
    """A first contact: after training on ``window``, before the generator's own."""

    estimate: Estimate
    window: int
    prospective: bool
    at: datetime


@dataclass(frozen=True)
class Now:
    """The score of the last checkpoint of the run that stands on the board.

    ``seen``: the generator's window was among those trained on.
    """

    estimate: Estimate
    window: int
    seen: bool


@dataclass(frozen=True)
class DetectorRow:
    """``rank`` is by first contact; null rows have none."""

    entry: Entry
    contact: Contact | None
    now: Now | None
    rank: int | None = None
    rank_best: int | None = None
    rank_worst: int | None = None

    @property
    def lows(self) -> tuple[float | None, ...]:
        """The lower ends of its intervals."""
        return tuple(score.estimate.low for score in (self.contact, self.now) if score)


@dataclass(frozen=True)
class NullScore:
    """The first contact of a null row of some kind."""

    null_row: str
    auroc: float


@dataclass(frozen=True)
class Spread:
    """How the AUROCs of first contacts lie. ``null_rows`` stand beside them and are not among them."""

    n: int
    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    null_rows: tuple[NullScore, ...] = ()


@dataclass(frozen=True)
class OnBenchmark:
    """A page of a ranking. ``rows`` are sorted by first contact, best first; those without one come last.

    ``n_rows``: how many there are on all pages. ``spread`` is ``None`` before the first contact.
    """

    benchmark: Benchmark
    place: Place
    met: Met
    rows: tuple[DetectorRow, ...] = ()
    n_rows: int = 0
    page: int = 1
    spread: Spread | None = None
    is_current: bool = True

    @property
    def n_pages(self) -> int:
        return n_pages(self.n_rows)


@dataclass(frozen=True)
class GeneratorReport:
    """``batches``: what is published, newest first. ``benchmarks`` is empty for one that was withdrawn."""

    generator: Generator
    batches: tuple[Batch, ...]
    benchmarks: tuple[OnBenchmark, ...]

    @property
    def n_train(self) -> int:
        return sum(batch.n_train for batch in self.batches)

    @property
    def n_eval(self) -> int:
        return sum(batch.n_eval for batch in self.batches)

    @property
    def published_at(self) -> datetime | None:
        """When its first images were published."""
        return min((batch.published_at for batch in self.batches if batch.published_at), default=None)

    @property
    def samples(self) -> str:
        """The store key of a picture of samples, where everybody may see one."""
        return next(iter(_samples(self.generator, self.batches)), "")

    @property
    def is_live(self) -> bool:
        """Whether first contacts are still to come, or to come onto a board."""
        return any(on.met.n_coming or not on.is_current for on in self.benchmarks)


def find_generator(corpus: str, slug: str, user: object) -> Generator | None:
    return visible.generators(user).filter(corpus__slug=corpus, slug=slug).first()


def published_batches(generator: Generator) -> tuple[Batch, ...]:
    return tuple(generator.batches.filter(state=BatchState.PUBLISHED).order_by("-published_at", "pk"))


def shown_samples(generator: Generator) -> tuple[str, ...]:
    """The store keys of the pictures of samples that everybody may see."""
    return _samples(generator, published_batches(generator))


def _samples(generator: Generator, batches: Sequence[Batch]) -> tuple[str, ...]:
    if not generator.shows_samples or generator.is_withdrawn:
        return ()
    return tuple(batch.contact_sheet for batch in batches if batch.contact_sheet)


def generator_report(generator: Generator, page: int = 1) -> GeneratorReport:
    """What everybody may know of a generator, with a page of the ranking on each benchmark of its corpus.

    A ranking with fewer pages shows its last one. A constant number of queries for each benchmark.
    """
    batches = published_batches(generator)
    benchmarks: Sequence[Benchmark] = ()
    if batches and not generator.is_withdrawn:
        benchmarks = list(generator.corpus.benchmarks.select_related("corpus"))
    return GeneratorReport(
        generator, batches, tuple(_on_benchmark(benchmark, generator, page) for benchmark in benchmarks)
    )


def _on_benchmark(benchmark: Benchmark, generator: Generator, page: int) -> OnBenchmark:
    place = places_of(benchmark).get(generator.slug, Place())
    met = met_by_generator(benchmark, [generator]).get(generator.pk, Met())
    shown = shown_board(benchmark)
    if shown is None or not len(shown.snapshot):
        return OnBenchmark(benchmark, place, met)
    board = shown.snapshot
    contacts = _column(board, "contacts", generator)
    newest = _column(board, "newest", generator)
    # Of rows without a first contact those come first that stand higher on the board.
    order = np.argsort(-np.nan_to_num(contacts.values, nan=-1.0), kind="stable")
    order = order[~np.isnan(contacts.values[order]) | ~np.isnan(newest.values[order])]
    page = max(1, min(page, n_pages(len(order))))
    positions = page_of(order.tolist(), page)
    competes = board.texts("null_row") == ""
    ranks = _ranks(contacts, competes)
    rows = [(position, entry_of(row)) for position, row in zip(positions, board.rows(positions), strict=True)]
    met_at = {
        (row.submission_id, row.seed): row
        for row in FirstContact.objects.filter(
            generator=generator, submission__in=[entry.submission_id for _, entry in rows]
        ).only("submission", "seed", "window", "prospective", "at")
    }
    line = board.timeline
    own = next((g.window for g in line.generators if g.generator_id == generator.pk), None)
    last = line.n_closed - 1

    def row(position: int, entry: Entry) -> DetectorRow:
        contact = met_at.get((entry.submission_id, entry.seed))
        estimate, now = contacts.estimate(position), newest.estimate(position)
        return DetectorRow(
            entry,
            Contact(estimate, contact.window, contact.prospective, contact.at)
            if contact and estimate.value is not None
            else None,
            Now(now, last, own is not None and own <= last) if now.value is not None else None,
            *(_whole(column[position]) for column in ranks),
        )

    return OnBenchmark(
        benchmark,
        place,
        met,
        rows=tuple(row(position, entry) for position, entry in rows),
        n_rows=len(order),
        page=page,
        spread=_spread(board, contacts.values, competes),
        is_current=shown.is_current,
    )


@dataclass(frozen=True)
class _Column:
    """Every row's AUROC on one generator with its interval [rows]; NaN where it is missing."""

    values: Floats
    low: Floats
    high: Floats

    def estimate(self, position: int) -> Estimate:
        parts = (self.values[position], self.low[position], self.high[position])
        return Estimate(*(None if np.isnan(part) else float(part) for part in parts))


def _column(board: Snapshot, name: str, generator: Generator) -> _Column:
    line = board.timelines.contacts if name == "contacts" else board.timeline
    places = [j for j, g in enumerate(line.generators) if g.generator_id == generator.pk]
    if not places:
        return _Column(*[np.full(len(board), np.nan)] * 3)
    return _Column(*(board.matrix(f"{name}{part}")[:, places[0]] for part in ("", "_low", "_high")))


def _ranks(column: _Column, competes: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """What ``protocols.ranking.rank`` gives for those that compete, of a whole column at once.

    Rank, best and worst [rows]; NaN for a row without a value, and for one that does not compete.
    """
    ranked = competes & ~np.isnan(column.values)
    bounded = ranked & ~np.isnan(column.low) & ~np.isnan(column.high)
    values, n = np.sort(column.values[ranked]), int(ranked.sum())
    lows, highs = np.sort(column.low[bounded]), np.sort(column.high[bounded])
    rank = 1.0 + n - np.searchsorted(values, column.values, side="right")
    best = np.where(bounded, 1.0 + len(lows) - np.searchsorted(lows, column.high, side="right"), 1.0)
    worst = np.where(bounded, n - np.searchsorted(highs, column.low, side="left"), n)
    missing = np.full(len(competes), np.nan)
    return (
        np.where(ranked, rank, missing),
        np.where(ranked, best, missing),
        np.where(ranked, worst, missing),
    )


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _spread(board: Snapshot, values: Floats, competes: NDArray[np.bool_]) -> Spread | None:
    known = ~np.isnan(values)
    met = values[known & competes]
    if not len(met):
        return None
    kinds = board.texts("null_row")
    null_rows = [NullScore(str(kinds[i]), float(values[i])) for i in np.flatnonzero(known & ~competes)]
    least, quarter, median, three_quarters, most = np.quantile(met, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Spread(len(met), least, quarter, median, three_quarters, most, tuple(null_rows))
