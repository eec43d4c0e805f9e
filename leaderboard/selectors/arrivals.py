"""What has arrived on a benchmark, newest first, and how detectors have met it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from django.db.models import Count, Min, Q

from leaderboard.models import Benchmark, FirstContact, Generator, Step
from leaderboard.selectors.contacts import contacts_of
from leaderboard.selectors.entries import entries
from leaderboard.selectors.timelines import newest_edition, shown_edition, timeline
from protocols.states import LIVE_STEP, BatchState


@dataclass(frozen=True)
class Place:
    """Where a generator stands: in a closed window, in the open one, or (``window`` is ``None``) waiting."""

    window: int | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Met:
    """The public detectors' first contacts with one generator. ``n_coming`` are still to be made."""

    n_met: int = 0
    n_prospective: int = 0
    n_coming: int = 0
    best: float | None = None
    median: float | None = None
    last_at: datetime | None = None

    @property
    def n_total(self) -> int:
        return self.n_met + self.n_coming

    @property
    def prospective_share(self) -> float | None:
        return self.n_prospective / self.n_met if self.n_met else None

    @property
    def is_complete(self) -> bool:
        return self.n_met > 0 and self.n_coming == 0


@dataclass(frozen=True)
class Arrival:
    """``met`` is empty for a generator that was withdrawn: its scores are hidden."""

    generator: Generator
    published_at: datetime
    place: Place
    met: Met = field(default_factory=Met)

    @property
    def updated_at(self) -> datetime:
        """When there was last something new to read about it."""
        moments = [self.published_at, self.generator.withdrawn_at]
        if self.met.is_complete:
            moments.append(self.met.last_at)
        return max(moment for moment in moments if moment is not None)


@dataclass(frozen=True)
class Arrivals:
    """``is_live``: first contacts are still coming in."""

    benchmark: Benchmark
    rows: tuple[Arrival, ...]

    @property
    def is_live(self) -> bool:
        return any(row.met.n_coming for row in self.rows)


def arrivals(benchmark: Benchmark, *, limit: int | None = None) -> Arrivals:
    """What was published, newest first, with the numbers that everybody may see.

    A constant number of queries.
    """
    published = list(
        Generator.objects.filter(corpus=benchmark.corpus_id)
        .select_related("corpus")
        .annotate(since=Min("batches__published_at", filter=Q(batches__state=BatchState.PUBLISHED)))
        .filter(since__isnull=False)
        .order_by("-since", "-release_date", "slug")[:limit]
    )
    shown = [generator for generator in published if not generator.is_withdrawn]
    places = places_of(benchmark)
    met = met_by_generator(benchmark, shown)
    return Arrivals(
        benchmark,
        tuple(Arrival(g, g.since, places.get(g.slug, Place()), met.get(g.pk, Met())) for g in published),
    )


def places_of(benchmark: Benchmark) -> dict[str, Place]:
    """Where the generators of the newest open edition stand, by slug; all others wait (four queries)."""
    edition = newest_edition(benchmark)
    if edition is None:
        return {}
    return {g.slug: Place(g.window, g.is_open) for g in timeline(edition).generators if g.window is not None}


def met_by_generator(benchmark: Benchmark, generators: Sequence[Generator]) -> dict[int, Met]:
    """How the public detectors of a benchmark have met each of these generators (six queries)."""
    edition = shown_edition(benchmark)
    if edition is None or not generators:
        return {}
    ids = [generator.pk for generator in generators]
    found = [entry for entry in entries(edition, None) if not entry.is_private]
    rows: dict[int, list[FirstContact]] = defaultdict(list)
    for row in contacts_of(found, ids).values():
        rows[row.generator_id].append(row)
    coming = _coming(benchmark, ids, [entry.submission_id for entry in found])
    return {generator_id: _met(rows[generator_id], coming[generator_id]) for generator_id in ids}


def _met(rows: Sequence[FirstContact], n_coming: int) -> Met:
    known = [row.roc_auc for row in rows if row.roc_auc is not None]
    return Met(
        n_met=len(rows),
        n_prospective=sum(row.prospective for row in rows),
        n_coming=n_coming,
        best=max(known, default=None),
        median=median(known) if known else None,
        last_at=max((row.at for row in rows), default=None),
    )


def _coming(benchmark: Benchmark, generator_ids: list[int], submissions: Iterable[object]) -> dict[int, int]:
    """How many detectors are still to meet each generator."""
    counts: dict[int, int] = defaultdict(int)
    counts.update(
        Step.objects.filter(
            unit__benchmark=benchmark,
            unit__generator__in=generator_ids,
            run__submission__in=list(submissions),
            state__in=LIVE_STEP,
        )
        .order_by()
        .values_list("unit__generator")
        .annotate(n=Count("run__submission", distinct=True))
    )
    return counts


def latest_arrivals(benchmarks: Iterable[Benchmark], *, limit: int = 3) -> dict[int, tuple[Arrival, ...]]:
    """The newest arrivals of each benchmark that has an edition, by its key."""
    return {benchmark.pk: arrivals(benchmark, limit=limit).rows for benchmark in benchmarks}
