"""The windows of an edition with their generators, and where every other generator stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import OuterRef, Subquery

from leaderboard.models import Benchmark, Edition, Generator, Unit

# The primary key of the newest edition, as an annotation of benchmarks.
NEWEST_EDITION = Subquery(
    Edition.objects.filter(benchmark=OuterRef("pk")).order_by("-number").values("pk")[:1]
)


@dataclass(frozen=True)
class TimelineGenerator:
    """``window`` is ``None`` for a generator older than the frontier that waits for the next edition."""

    unit_id: int
    slug: str
    name: str
    family: str
    release_date: date
    window: int | None
    is_open: bool

    @property
    def contact_window(self) -> int | None:
        """The last window trained strictly before this generator's own: where the first contact is."""
        return self.window - 1 if self.window else None


@dataclass(frozen=True)
class TimelineWindow:
    index: int
    is_open: bool
    generators: tuple[TimelineGenerator, ...]

    @property
    def released_from(self) -> date:
        return min(generator.release_date for generator in self.generators)

    @property
    def released_to(self) -> date:
        return max(generator.release_date for generator in self.generators)


@dataclass(frozen=True)
class Timeline:
    """``generators`` holds every evaluated generator in release order, ``windows`` those of a window.

    The open window, where there is one, is the last of ``windows``: it is evaluated on
    and not trained on.
    """

    edition: int
    n_closed: int
    windows: tuple[TimelineWindow, ...]
    generators: tuple[TimelineGenerator, ...]

    @property
    def forecasts(self) -> tuple[TimelineWindow, ...]:
        """The windows that are some checkpoint's next one."""
        return self.windows[1:]


def newest_edition(benchmark: Benchmark) -> Edition | None:
    return benchmark.editions.order_by("-number").first()


def timeline(edition: Edition) -> Timeline:
    """The timeline of ``edition`` with the generators that were published since (three queries)."""
    window_of = {
        generator.pk: window.index
        for window in edition.windows.prefetch_related("generators")
        for generator in window.generators.all()
    }
    units = list(Unit.objects.filter(benchmark=edition.benchmark_id).select_related("generator"))
    n_closed = max(window_of.values(), default=-1) + 1
    closed = [unit.generator.release_date for unit in units if unit.generator_id in window_of]
    frontier = max(closed, default=date.min)

    def placed(unit: Unit) -> TimelineGenerator:
        generator: Generator = unit.generator
        window = window_of.get(generator.pk)
        is_open = window is None and generator.release_date > frontier
        return TimelineGenerator(
            unit_id=unit.pk,
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
