from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from protocols.delong import (
    Auroc,
    Interval,
    delong,
    delong_of,
    delong_variance,
    interval,
    paired_test,
    weighted_mean,
)
from protocols.metrics import evaluate
from protocols.scores import ScoredImages

score = st.one_of(st.integers(0, 20).map(lambda c: c / 20), st.floats(0, 1))


@st.composite
def scored(draw: st.DrawFn, n_detectors: int = 1) -> tuple[np.ndarray, ...]:
    """Labels with at least two images of each class, then the scores of each detector."""
    n_fakes, n_reals = draw(st.integers(2, 20)), draw(st.integers(2, 20))
    labels = np.array(draw(st.permutations([1] * n_fakes + [0] * n_reals)))
    return labels, *(draw(npst.arrays(float, len(labels), elements=score)) for _ in range(n_detectors))


def placements(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V10 and V01 from every single pair."""
    fakes, reals = scores[labels == 1][:, None], scores[labels == 0][None, :]
    wins = (fakes > reals) + (fakes == reals) / 2
    return wins.mean(axis=1), wins.mean(axis=0)


def brute_covariance(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """DeLong's covariance by its formula: S10 / m + S01 / n."""
    (a10, a01), (b10, b01) = placements(labels, first), placements(labels, second)
    return np.cov(a10, b10)[0, 1] / len(a10) + np.cov(a01, b01)[0, 1] / len(a01)


def known(labels: np.ndarray, scores: np.ndarray) -> Auroc:
    estimate = delong(labels, scores)
    assert estimate is not None
    return estimate


@given(scored())
def test_value_and_variance_are_those_of_all_pairs(data: tuple[np.ndarray, ...]) -> None:
    labels, scores = data
    estimate = known(labels, scores)
    assert estimate.value == evaluate(labels, scores).roc_auc
    assert estimate.variance == pytest.approx(brute_covariance(labels, scores, scores), abs=1e-15)
    assert estimate.n_pairs == min(labels.sum(), (1 - labels).sum())


@given(scored())
def test_midranks_give_the_same_placements(data: tuple[np.ndarray, ...]) -> None:
    labels, scores = data
    fakes, reals = scores[labels == 1], scores[labels == 0]
    m, n = len(fakes), len(reals)
    midranks = stats.rankdata(np.concatenate([fakes, reals]))
    v10 = (midranks[:m] - stats.rankdata(fakes)) / n
    v01 = 1 - (midranks[m:] - stats.rankdata(reals)) / m
    expected = v10.var(ddof=1) / m + v01.var(ddof=1) / n
    assert known(labels, scores).variance == pytest.approx(expected, abs=1e-15)


@given(scored())
def test_the_variance_alone_is_that_of_the_contributions(data: tuple[np.ndarray, ...]) -> None:
    alone = delong_variance(ScoredImages(*data).groups())
    assert alone == pytest.approx(known(*data).variance, abs=1e-15)


@given(scored(n_detectors=2))
def test_contributions_give_delongs_covariance(data: tuple[np.ndarray, ...]) -> None:
    labels, first, second = data
    product = known(labels, first).contributions @ known(labels, second).contributions
    assert product == pytest.approx(brute_covariance(labels, first, second), abs=1e-15)


@given(scored(), st.data())
def test_a_subset_owes_nothing_to_images_outside(data: tuple[np.ndarray, ...], more: st.DataObject) -> None:
    labels, scores = data
    subset = more.draw(npst.arrays(bool, len(labels)))
    estimate = delong_of(ScoredImages(labels, scores).groups(subset))
    alone = delong(labels[subset], scores[subset])
    if estimate is None or alone is None:
        assert estimate is alone is None
        assert len(set(labels[subset])) < 2
        return
    assert (estimate.value, estimate.n_pairs) == (alone.value, alone.n_pairs)
    assert not estimate.contributions[~subset].any()
    np.testing.assert_array_equal(estimate.contributions[subset], alone.contributions)


@given(scored(), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_the_interval_holds_the_value_inside_the_unit_range(
    data: tuple[np.ndarray, ...], level: float
) -> None:
    estimate = known(*data)
    bounds = interval(estimate, level)
    assert bounds is not None
    assert 0 <= bounds.low <= estimate.value <= bounds.high <= 1
    wider = interval(estimate, (1 + level) / 2)
    assert wider is not None
    assert wider.low <= bounds.low
    assert bounds.high <= wider.high


def test_the_interval_is_normal_on_the_logit_scale() -> None:
    labels = np.array([1] * 4 + [0] * 4)
    estimate = known(labels, np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.3, 0.1, 0.1]))
    assert estimate.value == 14 / 16
    assert estimate.variance is not None
    logit = math.log(estimate.value / (1 - estimate.value))
    half = stats.norm.ppf(0.975) * math.sqrt(estimate.variance) / (estimate.value * (1 - estimate.value))
    bounds = interval(estimate)
    assert bounds is not None
    assert (bounds.low, bounds.high) == pytest.approx(
        (1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))), abs=1e-12
    )


def test_perfect_separation_has_the_exact_binomial_bound() -> None:
    labels = np.array([1] * 30 + [0] * 20)
    right, wrong = known(labels, labels.astype(float)), known(labels, 1.0 - labels)
    bound = stats.beta.ppf(0.025, 20, 1)  # Clopper-Pearson for 20 of 20
    assert right.variance == wrong.variance == 0
    assert interval(right) == Interval(pytest.approx(bound, abs=1e-12), 1.0)
    assert interval(wrong) == Interval(0.0, pytest.approx(1 - bound, abs=1e-12))
    # Its limits of rounding are where a float32 ranking fails: exactly 1 on many images.
    large = np.repeat([0, 1], 100_000)
    assert known(large, np.linspace(0, 1, 200_000)).value == 1


def test_constant_scores_are_a_half_without_doubt() -> None:
    constant = known(np.array([1, 1, 0, 0]), np.full(4, 0.5))
    assert (constant.value, constant.variance) == (0.5, 0)
    assert interval(constant) == Interval(0.5, 0.5)


def test_a_class_of_one_image_has_no_spread_and_a_missing_class_no_value() -> None:
    lonely = known(np.array([1, 0, 0]), np.array([0.5, 0.1, 0.9]))
    assert (lonely.value, lonely.variance, interval(lonely)) == (0.5, None, None)
    assert delong_variance(ScoredImages([1, 0, 0], [0.5, 0.1, 0.9]).groups()) is None
    assert delong_variance(ScoredImages([1, 1], [0.5, 0.1]).groups()) is None
    assert paired_test(lonely, lonely) is None
    assert delong([1, 1], [0.1, 0.2]) is None
    assert delong([], []) is None


@given(scored(n_detectors=2))
def test_the_paired_test_is_delongs(data: tuple[np.ndarray, ...]) -> None:
    labels, first, second = data
    a, b = known(labels, first), known(labels, second)
    test, mirrored = paired_test(a, b), paired_test(b, a)
    assert test is not None
    assert mirrored is not None
    variance = (
        brute_covariance(labels, first, first)
        + brute_covariance(labels, second, second)
        - 2 * brute_covariance(labels, first, second)
    )
    assert test.difference == a.value - b.value
    assert test.standard_error**2 == pytest.approx(variance, abs=1e-14)
    if a.value != b.value and variance > 1e-10:
        z = abs(a.value - b.value) / math.sqrt(variance)
        assert test.p_value == pytest.approx(2 * stats.norm.sf(z), rel=1e-4, abs=1e-12)
    assert (mirrored.difference, mirrored.p_value) == (-test.difference, test.p_value)
    assert 0 <= test.p_value <= 1


def test_detectors_without_spread_are_compared_by_the_sign_test() -> None:
    labels = np.array([1] * 6 + [0] * 6)
    perfect, constant = known(labels, labels.astype(float)), known(labels, np.zeros(12))
    sign = stats.binomtest(6, 6).pvalue
    for a, b in ((perfect, constant), (constant, perfect)):
        test = paired_test(a, b)
        assert test is not None
        assert test.p_value == pytest.approx(sign)
    same = paired_test(constant, constant)
    assert same is not None
    assert same.p_value == 1


def test_other_images_can_not_be_paired() -> None:
    with pytest.raises(ValueError, match="same images"):
        paired_test(known([1, 1, 0, 0], [1, 0, 1, 0]), known([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]))


@given(scored(n_detectors=3), st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_a_weighted_mean_has_the_variance_of_its_covariances(
    data: tuple[np.ndarray, ...], weights: list[float]
) -> None:
    labels, *detectors = data
    average = weighted_mean([known(labels, scores) for scores in detectors], weights)
    shares = np.array(weights) / sum(weights)
    covariance = np.array([[brute_covariance(labels, a, b) for a in detectors] for b in detectors])
    assert average.variance == pytest.approx(shares @ covariance @ shares, abs=1e-14)
    values = [known(labels, scores).value for scores in detectors]
    assert average.value == pytest.approx(shares @ values, abs=1e-14)


def test_a_mean_of_perfect_terms_is_exactly_one() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0])
    perfect = known(labels, labels.astype(float))
    for n_terms in range(1, 60):
        average = weighted_mean([perfect] * n_terms, [0.1] * n_terms)
        assert average.value == 1
        assert interval(average) == interval(perfect)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    estimate = known(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]))
    with pytest.raises(ValueError, match="weights"):
        weighted_mean([estimate, estimate], weights)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="0 estimates"):
        weighted_mean([])


# Albumin, total protein, K-G score and outcome of 43 patients of DeLong, DeLong and Clarke-Pearson
# (1988), as printed in the SAS/STAT User's Guide, "The LOGISTIC Procedure", example "Comparing
# Receiver Operating Characteristic Curves", which compares the three by the paper's method.
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1   3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1   4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1   3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1   3.7 6.9 5 1  3.6 6.6 5 1
"""


def test_the_example_of_the_paper_has_its_published_areas_and_p_values() -> None:
    columns = np.array(PATIENTS.split(), dtype=float).reshape(-1, 4).T
    albumin, protein, kg_score, benefits = columns
    # A high K-G score is a bad sign.
    estimates = [known(benefits, scores) for scores in (albumin, protein, -kg_score)]
    published = [(0.7366, 0.0927), (0.6478, 0.1000), (0.7258, 0.1028)]
    for estimate, (area, error) in zip(estimates, published, strict=True):
        assert estimate.variance is not None
        assert (estimate.value, math.sqrt(estimate.variance)) == pytest.approx((area, error), abs=5e-5)
    for estimate, difference, error, p_value in (
        (estimates[0], 0.0108, 0.0953, 0.9102),
        (estimates[1], -0.0780, 0.1046, 0.4561),
    ):
        test = paired_test(estimate, estimates[2])
        assert test is not None
        assert (test.difference, test.standard_error, test.p_value) == pytest.approx(
            (difference, error, p_value), abs=5e-5
        )


def test_in_simulation_the_interval_covers_the_true_auroc() -> None:
    """2,000 draws of one period: 200 images, normal scores."""
    rng = np.random.default_rng(6)
    labels, effect, n_trials, covered = np.repeat([0, 1], 100), 1.8, 2000, 0
    truth = stats.norm.cdf(effect / math.sqrt(2))
    for _ in range(n_trials):
        bounds = interval(known(labels, rng.normal(size=200) + effect * labels))
        assert bounds is not None
        covered += bounds.low <= truth <= bounds.high
    assert 0.93 < covered / n_trials < 0.97, covered / n_trials


def test_in_simulation_the_interval_of_a_growing_average_covers_its_truth() -> None:
    """2,000 draws of the average of Past: each step scores all earlier images anew, so the sets overlap."""
    rng = np.random.default_rng(2)
    n_steps, n_each, effects = 4, 60, (0.6, 1.0, 1.4, 1.8)
    truth = np.mean([stats.norm.cdf(effect / math.sqrt(2)) for effect in effects])
    labels = np.tile([0, 1], n_steps * n_each)
    window = np.repeat(np.arange(n_steps), 2 * n_each)
    averages, variances, naive, covered = [], [], [], 0
    n_trials = 2000
    for _ in range(n_trials):
        # A detector keeps most of its opinion of an image from step to step.
        opinion = rng.normal(size=len(labels))
        terms = []
        for step, effect in enumerate(effects):
            noise = math.sqrt(0.7) * opinion + math.sqrt(0.3) * rng.normal(size=len(labels))
            term = delong_of(ScoredImages(labels, noise + effect * labels).groups(window <= step))
            assert term is not None
            terms.append(term)
        average = weighted_mean(terms)
        bounds = interval(average)
        assert bounds is not None
        covered += bounds.low <= truth <= bounds.high
        averages.append(average.value)
        variances.append(average.variance)
        naive.append(sum(term.variance or 0 for term in terms) / n_steps**2)
    # 2,000 trials tell 95 % to ± 0.5 points (one standard deviation) and a variance to ± 3 %.
    assert 0.93 < covered / n_trials < 0.97, covered / n_trials
    assert np.mean(variances) == pytest.approx(np.var(averages, ddof=1), rel=0.12)
    assert np.mean(naive) < 0.7 * np.var(averages), "ignoring the overlap would claim too much"


def test_in_simulation_the_paired_test_rejects_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 80)
    n_trials, rejected = 800, 0
    for _ in range(n_trials):
        shared = rng.normal(size=160) + labels
        first, second = (shared + 0.5 * rng.normal(size=160) for _ in range(2))
        test = paired_test(known(labels, first), known(labels, second))
        assert test is not None
        rejected += test.p_value < 0.05
    assert 0.02 < rejected / n_trials < 0.08
