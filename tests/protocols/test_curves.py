from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.calibration import calibration_curve

from protocols.curves import MAX_ROC_POINTS, histogram, reliability, roc
from protocols.metrics import evaluate
from protocols.scores import ScoredImages, TieGroups

score = st.one_of(st.integers(0, 10).map(lambda c: c / 10), st.floats(0, 1))


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array(draw(st.permutations([1] * draw(st.integers(1, 20)) + [0] * draw(st.integers(1, 20)))))
    return labels, draw(npst.arrays(float, len(labels), elements=score))


def many(n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    labels = np.arange(n) % 2
    return labels, 1 / (1 + np.exp(-rng.normal(3 * labels - 1.5)))


def groups(labels: np.ndarray, scores: np.ndarray) -> TieGroups:
    return ScoredImages(labels, scores).groups()


@given(scored())
def test_a_short_curve_is_scikit_learns(data: tuple[np.ndarray, np.ndarray]) -> None:
    points = roc(groups(*data))
    fpr, tpr, thresholds = sk.roc_curve(*data, drop_intermediate=False)
    assert [p.fpr for p in points] == pytest.approx(fpr)
    assert [p.tpr for p in points] == pytest.approx(tpr)
    # scikit-learn calls fake what is at its threshold; ours is the next lower score.
    assert [p.threshold for p in points[:-1]] == list(thresholds[1:])
    assert points[-1].threshold is None


def test_a_long_curve_is_thinned_and_keeps_its_area() -> None:
    labels, scores = many()
    points = roc(groups(labels, scores))
    assert len(points) == MAX_ROC_POINTS
    assert (points[0].fpr, points[0].tpr) == (0, 0)
    assert (points[-1].fpr, points[-1].tpr) == (1, 1)
    area = np.trapezoid([p.tpr for p in points], [p.fpr for p in points])
    assert area == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-3)
    for point in points[:-1]:
        assert point.tpr == np.mean(scores[labels == 1] > point.threshold)
        assert point.fpr == np.mean(scores[labels == 0] > point.threshold)


def test_one_class_has_no_curve() -> None:
    assert roc(groups(np.ones(3), np.array([0.1, 0.5, 0.9]))) == []
    assert roc(groups(np.array([]), np.array([]))) == []


def test_the_histogram_is_numpys() -> None:
    labels, scores = many()
    bins = histogram(groups(labels, scores))
    for name, label in (("fakes", 1), ("reals", 0)):
        expected, edges = np.histogram(scores[labels == label], bins=25, range=(0, 1))
        assert [getattr(b, name) for b in bins] == list(expected)
        assert [b.low for b in bins] == pytest.approx(edges[:-1])
        assert [b.high for b in bins] == pytest.approx(edges[1:])
    ends = histogram(groups(np.array([1, 0]), np.array([1.0, 0.0])))
    assert (ends[0].reals, ends[-1].fakes, sum(b.fakes + b.reals for b in ends)) == (1, 1, 2)


def test_the_reliability_diagram_is_scikit_learns_and_adds_up_to_the_error() -> None:
    labels, scores = many()
    bins = reliability(groups(labels, scores))
    share, mean_score = calibration_curve(labels, scores, n_bins=15)
    filled = [b for b in bins if b.n]
    assert [b.share_of_fakes for b in filled] == pytest.approx(share)
    assert [b.mean_score for b in filled] == pytest.approx(mean_score)
    error = sum(b.n * abs(b.mean_score - b.share_of_fakes) for b in filled) / len(labels)
    assert error == pytest.approx(evaluate(labels, scores).calibration_error)


def test_an_empty_bin_has_no_mean() -> None:
    bins = reliability(groups(np.array([1, 0]), np.array([0.95, 0.05])))
    assert [b.n for b in bins] == [1, *[0] * 13, 1]
    assert bins[1].mean_score is bins[1].share_of_fakes is None
    assert (bins[0].share_of_fakes, bins[14].share_of_fakes) == (0, 1)


@pytest.mark.parametrize("draw", [histogram, reliability])
def test_scores_that_are_no_probabilities_are_refused(draw) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        draw(groups(np.array([1, 0]), np.array([1.5, 0.5])))
