"""The interval over generators: its block matrix, its draws, and what it covers in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from protocols.metrics import evaluate
from protocols.periods import Period
from protocols.scores import ScoredImages
from protocols.spread import N_DRAWS, PairCounts, Redraws, count_pairs

score = st.one_of(st.integers(0, 6).map(lambda c: c / 6), st.floats(0, 1))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), score), max_size=80))
def test_pairs_are_counted_as_one_by_one(images: list[tuple[bool, int, float]]) -> None:
    fake = np.array([image[0] for image in images], dtype=bool)
    unit = np.array([image[1] for image in images], dtype=int)
    scores = np.array([image[2] for image in images])
    counts = count_pairs(ScoredImages(fake, scores).groups(), unit, 4)
    for g in range(4):
        assert counts.fakes[g] == (fake & (unit == g)).sum()
        assert counts.reals[g] == (~fake & (unit == g)).sum()
        for h in range(4):
            f, r = scores[fake & (unit == g)][:, None], scores[~fake & (unit == h)][None, :]
            assert counts.doubled_wins[g, h] == (2 * (f > r) + (f == r)).sum()


def test_only_the_images_of_the_set_are_counted() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.2, 0.8])
    counts = count_pairs(
        ScoredImages(labels, scores).groups(np.array([True, True, False, False])), np.array([0, 0, 1, 1]), 2
    )
    assert counts.doubled_wins.tolist() == [[2, 0], [0, 0]]
    assert counts.fakes.tolist() == counts.reals.tolist() == [1, 0]


WINDOW_OF_UNIT = [0, 0, 0, 1, 1, 1, 1, 2, 2, -1]


def drawn(seed: int = 0) -> tuple[dict[int, PairCounts], list[np.ndarray], np.ndarray, np.ndarray]:
    """Counts by step, and the scores, labels and units they come from; generators differ in size."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 15, len(WINDOW_OF_UNIT))
    unit = np.repeat(np.arange(len(sizes)), 2 * sizes)
    labels = np.concatenate([np.repeat([1, 0], size) for size in sizes])
    scores = [special.expit(rng.normal(labels + 0.3 * unit * labels)).round(2) for _ in range(3)]
    counts = {k: count_pairs(ScoredImages(labels, scores[k]).groups(), unit, len(sizes)) for k in range(2)}
    return counts, scores, labels, unit


@pytest.mark.parametrize("period", [Period.NEXT, Period.PAST, Period.WHOLE])
def test_a_draw_is_the_average_of_images_that_are_there_as_often_as_it_says(period: Period) -> None:
    counts, scores, labels, unit = drawn()
    redraws = Redraws(WINDOW_OF_UNIT, 3)
    averages = redraws.averages(counts, period)
    assert averages is not None
    assert len(averages) == 1 + N_DRAWS
    windows = {Period.NEXT: ([1], [2]), Period.PAST: ([0], [0, 1]), Period.WHOLE: ([0, 1], [0, 1, 2])}[period]
    for average, weights in list(zip(averages, redraws.weights, strict=True))[:40]:
        # For windows of 2, 3 and 4 the weights are multiples of 2, 3/2 and 4/3.
        repeats = np.round(6 * weights).astype(int)
        assert repeats == pytest.approx(6 * weights)
        values = []
        for step, covered in enumerate(windows):
            times = np.where(np.isin(np.array(WINDOW_OF_UNIT)[unit], covered), repeats[unit], 0)
            values.append(evaluate(np.repeat(labels, times), np.repeat(scores[step], times)).roc_auc)
        assert average == pytest.approx(np.mean(values), abs=1e-12)


def test_of_a_window_all_but_one_are_drawn_with_replacement() -> None:
    weights = Redraws(WINDOW_OF_UNIT, 3).weights[1:]
    for members in ([0, 1, 2], [3, 4, 5, 6], [7, 8]):
        n = len(members)
        times = weights[:, members] * (n - 1) / n
        assert times == pytest.approx(np.round(times))
        assert times.sum(axis=1) == pytest.approx(n - 1)
        assert weights[:, members].mean(axis=0) == pytest.approx(1, abs=0.1)
    assert set(weights[:, 9]) == {1}, "a generator of no window is not drawn"


def test_the_draws_are_seeded() -> None:
    counts, *_ = drawn()
    first, second = (Redraws(WINDOW_OF_UNIT, 3).interval(counts, Period.NEXT) for _ in range(2))
    assert first == second


FOUR = np.array([0.6, 0.7, 0.9, 0.95])


def half_width(aurocs: np.ndarray) -> float:
    """Of the Next average over windows of four generators, of which the first is nobody's next."""
    n_windows = len(aurocs) // 4
    counts = dict.fromkeys(range(n_windows - 1), alone(aurocs))
    bounds = Redraws(np.repeat(np.arange(n_windows), 4).tolist(), n_windows).interval(counts, Period.NEXT)
    assert bounds is not None
    value = aurocs[4:].mean()
    return float((special.logit(bounds.high) - special.logit(value)) * value * (1 - value))


def test_the_spread_is_the_standard_error_of_a_mean_of_generators() -> None:
    error = FOUR.std(ddof=1) / math.sqrt(4)
    # 1,000 draws tell a deviation to 2.2 %. A window of four has three degrees of freedom.
    assert half_width(np.tile(FOUR, 2)) == pytest.approx(special.stdtrit(3, 0.975) * error, rel=0.07)


def test_windows_that_spread_alike_add_their_degrees_of_freedom() -> None:
    error = FOUR.std(ddof=1) / math.sqrt(4)
    three = half_width(np.tile(FOUR, 4))
    assert three == pytest.approx(special.stdtrit(9, 0.975) * error / math.sqrt(3), rel=0.07)
    # Where one window makes all the spread, its own generators are all that tells of it.
    one = half_width(np.concatenate([np.tile(FOUR, 2), np.full(8, FOUR.mean())]))
    assert one == pytest.approx(special.stdtrit(3, 0.975) * error / 3, rel=0.07)


def test_windows_of_different_sizes_have_satterthwaites_degrees_of_freedom() -> None:
    two = np.array([0.6, 0.9])
    counts = alone(np.concatenate([two, two, FOUR]))
    bounds = Redraws([0, 0, 1, 1, 2, 2, 2, 2], 3).interval(dict.fromkeys((0, 1), counts), Period.NEXT)
    assert bounds is not None
    value = (two.mean() + FOUR.mean()) / 2
    half = (special.logit(bounds.high) - special.logit(value)) * value * (1 - value)
    parts = np.array([two.var(ddof=1) / 2, FOUR.var(ddof=1) / 4])
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / 1 + parts[1] ** 2 / 3)
    assert half == pytest.approx(special.stdtrit(freedom, 0.975) * np.sqrt(parts.sum()) / 2, rel=0.08)


def alone(aurocs: np.ndarray, n: int = 100) -> PairCounts:
    """Generators whose fakes beat a share of the reals that is the same whoever they are paired with."""
    size = np.full(len(aurocs), float(n))
    return PairCounts(2 * n * n * np.repeat(aurocs[:, None], len(aurocs), axis=1), size, size)


def test_a_window_of_one_generator_tells_no_spread() -> None:
    counts = {0: alone(np.array([0.6, 0.7, 0.8, 0.9])), 1: alone(np.array([0.6, 0.7, 0.8, 0.9]))}
    redraws = Redraws([0, 1, 1, 2], 3)
    assert redraws.interval(counts, Period.NEXT) is None
    assert Redraws([0, 1, 1, -1], 2).interval(counts, Period.NEXT) is not None, "the first is not in it"
    assert Redraws([0, 1, 1, -1], 2).interval(counts, Period.WHOLE) is None


def test_a_window_that_was_withdrawn_as_a_whole_is_left_out() -> None:
    counts = dict.fromkeys((0, 1), alone(np.array([0.6, 0.7, 0.8, 0.9])))
    redraws = Redraws([0, 0, 2, 2], 3)
    assert redraws.interval(counts, Period.NEXT) is None, "the first checkpoint has no next window"
    assert redraws.interval(counts, Period.WHOLE) is not None
    first = alone(np.array([0.6, 0.7, 0.8, 0.9]))
    assert redraws.interval(counts, Period.PAST) == Redraws([0, 0, 1, 1], 2).interval({0: first}, Period.PAST)


def test_what_has_no_average_has_no_interval() -> None:
    redraws = Redraws([0, 0, 1, 1], 2)
    counts = alone(np.array([0.6, 0.7, 0.8, 0.9]))
    assert redraws.interval({}, Period.NEXT) is None
    assert Redraws([0, 0], 1).interval({0: counts}, Period.NEXT) is None
    no_reals = PairCounts(counts.doubled_wins, counts.fakes, np.array([100.0, 100, 100, 0]))
    assert redraws.interval({0: no_reals}, Period.NEXT) is None


def test_perfect_detectors_tell_no_spread_and_constant_ones_are_a_half() -> None:
    redraws = Redraws([0, 0, 1, 1, 1], 2)
    assert redraws.interval({0: alone(np.ones(5))}, Period.NEXT) is None
    assert redraws.interval({0: alone(np.zeros(5))}, Period.NEXT) is None
    constant = redraws.interval({0: alone(np.full(5, 0.5))}, Period.WHOLE)
    assert constant is not None
    assert (constant.low, constant.high) == (0.5, 0.5)


def test_in_simulation_the_interval_covers_the_generators_that_might_have_been() -> None:
    """A hierarchical model: 8 forecasts, windows of 4 generators, 2,000 draws.

    Fakes of a generator lie its own distance from the reals, normal around one that falls
    from window to window; 20 images a class and generator, scored anew by each checkpoint.
    """
    rng = np.random.default_rng(11)
    n_windows, per_window, n_images, spread, n_trials = 9, 4, 20, 0.8, 2000
    steps = range(n_windows - 1)
    window_of = np.repeat(np.arange(n_windows), per_window)
    unit = np.repeat(np.arange(len(window_of)), 2 * n_images)
    labels = np.tile(np.repeat([1, 0], n_images), len(window_of))
    centres = 2 - 0.1 * np.arange(n_windows)
    # P(fake > real), the generator of the fake drawn anew too.
    true = special.ndtr(centres / np.sqrt(2 + spread**2))
    truth = {
        Period.NEXT: np.mean([true[step + 1] for step in steps]),
        Period.PAST: np.mean([true[: step + 1].mean() for step in steps]),
    }
    redraws = Redraws(window_of.tolist(), n_windows)
    covered, by_percentiles = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for _ in range(n_trials):
        distance = centres[window_of] + spread * rng.normal(size=len(window_of))
        opinion = rng.normal(size=len(labels))
        counts = {}
        for step in steps:
            noise = math.sqrt(0.7) * opinion + math.sqrt(0.3) * rng.normal(size=len(labels))
            images = ScoredImages(labels, noise + distance[unit] * labels)
            counts[step] = count_pairs(images.groups(window_of[unit] <= step + 1), unit, len(window_of))
        for period in truth:
            bounds = redraws.interval(counts, period)
            assert bounds is not None
            covered[period] += bounds.low <= truth[period] <= bounds.high
            averages = redraws.averages(counts, period)
            assert averages is not None
            low, high = np.quantile(averages[1:], [0.025, 0.975])
            by_percentiles[period] += low <= truth[period] <= high
    for period in truth:
        assert by_percentiles[period] / n_trials < 0.94, "percentiles would claim too much"
        assert 0.93 < covered[period] / n_trials < 0.97, (period, covered[period] / n_trials)
