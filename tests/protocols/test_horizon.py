from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from protocols.horizon import (
    DAYS_PER_MONTH,
    Level,
    Outcome,
    Point,
    ShelfLife,
    horizon,
    months_between,
    shelf_life,
)


def points(*pairs: tuple[float, float], generator: str = "") -> list[Point]:
    """Points (lag, AUROC), each on a generator of its own unless one is named."""
    return [Point(lag, auroc, 0, generator or f"g{i}") for i, (lag, auroc) in enumerate(pairs)]


def values(levels: tuple[Level, ...]) -> list[tuple[float, float, float]]:
    return [(level.start_months, level.end_months, pytest.approx(level.value)) for level in levels]


@pytest.mark.parametrize(
    ("released", "months"),
    [("2024-01-01", 0.0), ("2025-01-01", 366 / 30.4375), ("2023-12-01", -31 / 30.4375)],
)
def test_a_month_is_a_twelfth_of_a_year(released: str, months: float) -> None:
    assert months_between(date(2024, 1, 1), date.fromisoformat(released)) == pytest.approx(months)
    assert DAYS_PER_MONTH * 12 == 365.25


def test_what_is_as_old_as_the_frontier_is_no_part_of_the_curve() -> None:
    found = horizon(points((-3.0, 0.2), (0.0, 0.3), (2.0, 0.95), (-1.0, 1.0)))
    assert [point.lag_months for point in found.points] == [-3.0, -1.0, 0.0, 2.0]
    assert values(found.curve) == [(2.0, 2.0, 0.95)]


def test_the_curve_never_rises_and_pools_what_would() -> None:
    found = horizon(points((1, 0.99), (2, 0.90), (3, 0.96), (5, 0.80), (8, 0.84), (13, 0.60)))
    assert values(found.curve) == [(1, 1, 0.99), (2, 3, 0.93), (5, 8, 0.82), (13, 13, 0.60)]
    assert [(level.n_points, level.n_generators) for level in found.curve] == [(1, 1), (2, 2), (2, 2), (1, 1)]


def test_points_of_one_lag_count_each() -> None:
    # At lag 2 the mean is 0.9; pooled with the 0.96 after it, three points count alike.
    found = horizon([*points((2, 0.8), (2, 1.0)), Point(3, 0.96, 1, "g9")])
    assert values(found.curve) == [(2, 3, (0.8 + 1.0 + 0.96) / 3)]


lags = st.integers(1, 40).map(lambda n: n / 2)
scores = st.floats(0, 1)


@settings(max_examples=40)
@given(st.lists(st.tuples(lags, scores), min_size=1, max_size=40))
def test_the_curve_is_the_isotonic_regression(pairs: list[tuple[float, float]]) -> None:
    reference = IsotonicRegression(increasing=False)
    reference.fit([lag for lag, _ in pairs], [auroc for _, auroc in pairs])
    levels = horizon(points(*pairs)).curve
    for level in levels:
        places = [level.start_months, level.end_months]
        assert reference.predict(places) == pytest.approx(level.value, abs=1e-9)
    assert all(later.value < earlier.value for earlier, later in pairwise(levels))
    assert sum(level.n_points for level in levels) == len(pairs)


@settings(max_examples=40)
@given(st.lists(st.tuples(lags, scores), min_size=2, max_size=25), st.randoms())
def test_the_order_of_the_points_is_of_no_account(pairs: list[tuple[float, float]], random) -> None:
    given_points = points(*pairs)
    shuffled = list(given_points)
    random.shuffle(shuffled)
    assert horizon(shuffled) == horizon(given_points)


def test_intervals_are_over_generators_and_not_over_points() -> None:
    rng = np.random.default_rng(5)
    truth = {f"g{i}": 0.8 + rng.normal(0, 0.05) for i in range(12)}
    once = [Point(1 + i, truth[name], 0, name) for i, name in enumerate(truth)]
    often = [Point(p.lag_months, p.auroc, k, p.generator) for p in once for k in range(9)]
    few, many = horizon(once).curve, horizon(often).curve
    # Nine checkpoints that say the same of twelve generators know no more than one.
    assert [level.low for level in few] == pytest.approx([level.low for level in many])
    assert [level.high for level in few] == pytest.approx([level.high for level in many])
    assert all(level.low <= level.value <= level.high for level in few)
    assert few[0].high - few[0].low > 0.01


def test_one_generator_has_no_interval() -> None:
    (level,) = horizon(points((1, 0.9), (2, 0.9), generator="only")).curve
    assert (level.low, level.high, level.n_generators) == (None, None, 1)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], ShelfLife(Outcome.NO_DATA, None, None, None)),
        ([(-2, 0.4), (0, 0.4)], ShelfLife(Outcome.NO_DATA, None, None, None)),
        ([(2, 0.89), (9, 0.5)], ShelfLife(Outcome.BELOW_FROM_START, 0.0, None, 9)),
        ([(2, 0.99), (9, 0.9)], ShelfLife(Outcome.HELD, None, 9, 9)),
        ([(2, 0.99), (5, 0.95), (9, 0.85), (20, 0.7)], ShelfLife(Outcome.FELL, 9, 5, 20)),
        # One bad generator among good ones is evened out: the curve pools 0.85 with what follows.
        ([(2, 0.99), (5, 0.85), (9, 0.97)], ShelfLife(Outcome.HELD, None, 9, 9)),
    ],
)
def test_the_shelf_life(pairs: list[tuple[float, float]], expected: ShelfLife) -> None:
    assert horizon(points(*pairs)).shelf_life == expected


def test_the_threshold_itself_is_not_below() -> None:
    curve = horizon(points((1, 0.9))).curve
    assert shelf_life(curve).outcome == Outcome.HELD
    assert shelf_life(curve, threshold=0.9001).outcome == Outcome.BELOW_FROM_START


def test_a_planted_decay_is_found() -> None:
    """AUROC falls by 0.01 a month from 1: it passes 0.9 at ten months."""
    rng = np.random.default_rng(3)
    start = date(2020, 1, 1)
    released = {f"g{i}": start + timedelta(days=45 * i) for i in range(24)}
    made = []
    for k, frontier in enumerate(list(released.values())[3::4]):
        for name, day in released.items():
            lag = months_between(frontier, day)
            made.append(Point(lag, min(1.0, 1 - 0.01 * max(lag, 0) + rng.normal(0, 0.01)), k, name))
    found = horizon(made).shelf_life
    assert found.outcome == Outcome.FELL
    assert found.months == pytest.approx(10, abs=2)
    assert found.held_months < found.months <= found.observed_months
