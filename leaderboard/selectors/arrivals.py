"""What has arrived on a benchmark, newest first, and how detectors have met it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Aggregate, Count, Exists, FloatField, Max, Min, OuterRef, Q, QuerySet

from leaderboard.models import Benchmark, FirstContact, Generator, Step, Submission
from leaderboard.selectors.timelines import newest_edition, timeline
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


class Median(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def met_by_generator(benchmark: Benchmark, generators: Sequence[Generator]) -> dict[int, Met]:
    """How the public detectors of a benchmark have met each of these generators (two queries).

    A detector with several seeds counts once, with its lowest.
    """
    ids = [generator.pk for generator in generators]
    public = Submission.objects.visible_to(None).entered().filter(benchmark=benchmark, null_row="")
    lower = FirstContact.objects.filter(
        submission=OuterRef("submission"), generator=OuterRef("generator"), seed__lt=OuterRef("seed")
    )
    rows = (
        FirstContact.objects.filter(~Exists(lower), generator__in=ids, submission__in=public)
        .order_by()
        .values_list("generator")
        .annotate(
            n_met=Count("pk"),
            n_prospective=Count("pk", filter=Q(prospective=True)),
            best=Max("roc_auc"),
            median=Median("roc_auc"),
            last_at=Max("at"),
        )
    )
    met = {pk: numbers for pk, *numbers in rows}
    coming = _coming(benchmark, ids, public)
    none = (0, 0, None, None, None)
    result = {}
    for pk in ids:
        n_met, n_prospective, best, median, last_at = met.get(pk, none)
        result[pk] = Met(n_met, n_prospective, coming[pk], best, median, last_at)
    return result


def _coming(
    benchmark: Benchmark, generator_ids: list[int], submissions: QuerySet[Submission]
) -> dict[int, int]:
    """How many detectors are still to meet each generator."""
    counts: dict[int, int] = defaultdict(int)
    counts.update(
        Step.objects.filter(
            unit__benchmark=benchmark,
            unit__generator__in=generator_ids,
            run__submission__in=submissions,
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
