"""One generator: where its images come from, what they give away, and how detectors met it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from leaderboard.models import Batch, Benchmark, FirstContact, Generator, UnitScore
from leaderboard.selectors import visible
from leaderboard.selectors.arrivals import Met, Place, met_by_generator, places_of
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.timelines import shown_edition
from protocols import ranking
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
    """The newest score of the run that stands on the board.

    ``seen``: the generator's window was among those trained on.
    """

    estimate: Estimate
    window: int
    seen: bool


@dataclass(frozen=True)
class DetectorRow:
    """``rank`` is by first contact and counts public entries only."""

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
class OnBenchmark:
    """``rows`` is sorted by first contact, best first; those without one come last."""

    benchmark: Benchmark
    place: Place
    met: Met
    rows: tuple[DetectorRow, ...]

    @property
    def has_contacts(self) -> bool:
        return any(row.contact for row in self.rows)


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
        return any(on.met.n_coming for on in self.benchmarks)


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


def generator_report(generator: Generator) -> GeneratorReport:
    """What everybody may know of a generator.

    A constant number of queries for each benchmark of its corpus.
    """
    batches = published_batches(generator)
    benchmarks: Sequence[Benchmark] = ()
    if batches and not generator.is_withdrawn:
        benchmarks = list(generator.corpus.benchmarks.select_related("corpus"))
    return GeneratorReport(
        generator, batches, tuple(_on_benchmark(benchmark, generator) for benchmark in benchmarks)
    )


def _on_benchmark(benchmark: Benchmark, generator: Generator) -> OnBenchmark:
    place = places_of(benchmark).get(generator.slug, Place())
    met = met_by_generator(benchmark, [generator]).get(generator.pk, Met())
    edition = shown_edition(benchmark)
    if edition is None:
        return OnBenchmark(benchmark, place, met, ())
    shown = shown_board(benchmark)
    if shown is None:
        return OnBenchmark(benchmark, place, met, ())
    found = [entry_of(row) for row in shown.snapshot.rows(range(len(shown.snapshot)))]
    seed_of = {entry.submission_id: entry.seed for entry in found}
    contacts = {
        row.submission_id: row
        for row in FirstContact.objects.filter(generator=generator, submission__in=list(seed_of))
        if row.seed == seed_of[row.submission_id]
    }
    newest = _newest_scores([entry.run_id for entry in found], generator)
    own = edition.windows.filter(generators=generator).values_list("index", flat=True).first()

    def row(entry: Entry) -> DetectorRow:
        contact, score = contacts.get(entry.submission_id), newest.get(entry.run_id)
        return DetectorRow(
            entry,
            Contact(auroc(contact), contact.window, contact.prospective, contact.at) if contact else None,
            Now(auroc(score), score.window, own is not None and own <= score.window) if score else None,
        )

    rows = [row(entry) for entry in found]
    return OnBenchmark(benchmark, place, met, _ranked([row for row in rows if row.contact or row.now]))


def _newest_scores(run_ids: list[int], generator: Generator) -> dict[int, UnitScore]:
    """Each run's score on a generator after the last window that it was scored at."""
    rows = UnitScore.objects.filter(run__in=run_ids, unit__generator=generator).order_by(
        "window", "unit__version"
    )
    return {row.run_id: row for row in rows}


def _ranked(rows: list[DetectorRow]) -> tuple[DetectorRow, ...]:
    public = [
        ranking.Entry(str(row.entry.submission_id), e.value, e.low, e.high)
        for row in rows
        if not row.entry.null_row
        for e in [row.contact.estimate if row.contact else Estimate()]
    ]
    ranks = {ranked.id: ranked for ranked in ranking.rank(public)}
    placed = []
    for row in rows:
        ranked = ranks.get(str(row.entry.submission_id))
        if ranked is not None:
            row = DetectorRow(row.entry, row.contact, row.now, ranked.rank, ranked.best, ranked.worst)
        placed.append(row)
    return tuple(sorted(placed, key=_standing))


def _standing(row: DetectorRow) -> tuple[float, str]:
    value = row.contact.estimate.value if row.contact else None
    return (2.0 if value is None else -value), row.entry.name.casefold()
