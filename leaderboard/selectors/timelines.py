"""The windows of an edition with their generators, and where every other generator stands."""

from __future__ import annotations

from django.db.models import OuterRef, Q, Subquery

from leaderboard.board import Timeline, TimelineGenerator, TimelineWindow
from leaderboard.models import Benchmark, Edition, Generator, Unit

_OPEN = Edition.objects.filter(opened_at__isnull=False)
# The edition whose board is shown, as an annotation of benchmarks: the newest that is settled, or
# else the newest that is open.
SHOWN_EDITION = Subquery(
    _OPEN.filter(benchmark=OuterRef("pk"))
    .annotate(is_settled=Q(settled_at__isnull=False))
    .order_by("-is_settled", "-number")
    .values("pk")[:1]
)
# The newest open edition, as an annotation of benchmarks.
NEWEST_EDITION = Subquery(_OPEN.filter(benchmark=OuterRef("pk")).order_by("-number").values("pk")[:1])


def newest_edition(benchmark: Benchmark) -> Edition | None:
    """The newest edition that is open: new runs are on it."""
    return benchmark.editions.filter(opened_at__isnull=False).order_by("-number").first()


def shown_edition(benchmark: Benchmark) -> Edition | None:
    """The edition whose board is shown: the newest that is settled, or else the newest that is open."""
    settled = benchmark.editions.filter(settled_at__isnull=False).order_by("-number").first()
    return settled or newest_edition(benchmark)


def timeline(edition: Edition) -> Timeline:
    """The windows of ``edition`` and the generators of the open one (three queries).

    Withdrawn generators are left out.
    """
    window_of = {
        generator.pk: window.index
        for window in edition.windows.prefetch_related("generators")
        for generator in window.generators.all()
    }
    units = list(edition.units.filter(generator__withdrawn_at=None).select_related("generator"))
    n_closed = max(window_of.values(), default=-1) + 1

    def placed(unit: Unit) -> TimelineGenerator:
        generator: Generator = unit.generator
        window = window_of.get(generator.pk)
        is_open = window is None and generator.release_date > edition.frontier
        return TimelineGenerator(
            unit_id=unit.pk,
            generator_id=generator.pk,
            slug=generator.slug,
            name=generator.name,
            family=generator.family,
            release_date=generator.release_date,
            window=n_closed if is_open else window,
            is_open=is_open,
        )

    generators = tuple(placed(unit) for unit in units)
    indices = sorted({generator.window for generator in generators if generator.window is not None})
    windows = tuple(
        TimelineWindow(
            index=index,
            is_open=index == n_closed,
            generators=tuple(generator for generator in generators if generator.window == index),
        )
        for index in indices
    )
    return Timeline(edition=edition.number, n_closed=n_closed, windows=windows, generators=generators)
