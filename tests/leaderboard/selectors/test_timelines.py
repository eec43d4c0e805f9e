from __future__ import annotations

from datetime import date

import pytest

from leaderboard.selectors.timelines import newest_edition, timeline
from tests.leaderboard.factories import (
    BenchmarkFactory,
    EditionFactory,
    GeneratorFactory,
    UnitFactory,
    WindowFactory,
)

pytestmark = pytest.mark.django_db


def test_windows_the_open_window_and_what_waits() -> None:
    benchmark = BenchmarkFactory(generators_per_window=2)
    edition = EditionFactory(benchmark=benchmark)

    def generator(slug: str, released: str) -> object:
        made = GeneratorFactory(corpus=benchmark.corpus, slug=slug, release_date=date.fromisoformat(released))
        UnitFactory(benchmark=benchmark, generator=made)
        return made

    WindowFactory(
        edition=edition, index=1, generators=[generator("c", "2021-03-01"), generator("d", "2021-04-01")]
    )
    WindowFactory(
        edition=edition, index=0, generators=[generator("b", "2021-02-01"), generator("a", "2021-01-01")]
    )
    generator("newer", "2021-09-01")
    generator("late-found", "2021-02-15")

    line = timeline(edition)

    assert [(g.slug, g.window, g.is_open, g.contact_window) for g in line.generators] == [
        ("a", 0, False, None),
        ("b", 0, False, None),
        ("late-found", None, False, None),
        ("c", 1, False, 0),
        ("d", 1, False, 0),
        ("newer", 2, True, 1),
    ]
    assert [(w.index, w.is_open, [g.slug for g in w.generators]) for w in line.windows] == [
        (0, False, ["a", "b"]),
        (1, False, ["c", "d"]),
        (2, True, ["newer"]),
    ]
    assert [w.index for w in line.forecasts] == [1, 2]
    assert line.n_closed == 2
    assert (line.windows[0].released_from, line.windows[0].released_to) == (
        date(2021, 1, 1),
        date(2021, 2, 1),
    )


def test_the_newest_edition_is_the_one_with_the_highest_number() -> None:
    benchmark = BenchmarkFactory()
    assert newest_edition(benchmark) is None
    second = EditionFactory(benchmark=benchmark, number=2)
    EditionFactory(benchmark=benchmark, number=1)
    assert newest_edition(benchmark) == second
