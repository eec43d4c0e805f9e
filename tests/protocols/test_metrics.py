from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.calibration import calibration_curve

from protocols.metrics import OFFICIAL, evaluate, mean, measure
from protocols.periods import MECHANISMS, window_range
from protocols.scores import ScoredImages
from tests.protocols import reference

# Scores of two decimals tie often and meet the threshold; the others hardly ever do.
score = st.one_of(st.integers(0, 100).map(lambda c: c / 100), st.floats(0, 1))
COUNTS = ("tp", "tn", "fp", "fn", "n_real_images", "n_fake_images")


@st.composite
def scored(draw: st.DrawFn, min_each: int = 0) -> tuple[np.ndarray, np.ndarray]:
    n_fakes = draw(st.integers(min_each, 25))
    n_reals = draw(st.integers(min_each, 25))
    labels = np.array(draw(st.permutations([1] * n_fakes + [0] * n_reals)), dtype=int)
    return labels, draw(npst.arrays(float, len(labels), elements=score))


@pytest.mark.shared
def test_every_window_and_mechanism_of_the_official_code() -> None:
    expected, arrays = reference.period_metrics(), reference.period_scores()
    window_of = {name: k for k, window in enumerate(expected["windows"]) for name in window}
    partner = np.where(arrays["generator_id"] == 0, arrays["paired_generator_id"], arrays["generator_id"])
    unit_window = np.array([window_of.get(name, -1) for name in expected["generator_id_to_name"]])[partner]
    period_of = {name: period for period, name in MECHANISMS.items()}
    assert len(expected["rows"]) == 45
    for row in expected["rows"]:
        covered = window_range(period_of[row["mechanism"]], row["window"], 9, paper_compatible=True)
        images = ScoredImages(arrays["generator_id"] > 0, arrays["score"][row["window"]])
        metrics = dataclasses.asdict(measure(images.groups(np.isin(unit_window, covered))))
        got = {name: metrics[name] for name in (*OFFICIAL, *COUNTS)}
        if "error" in row:
            assert (row["mechanism"], row["window"]) == ("past", 0)
            assert got.pop("roc_auc") is None
        else:
            assert got == pytest.approx(row["result"], abs=1e-9, rel=0)


@given(scored(min_each=1))
def test_scikit_learn_agrees(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    got = evaluate(labels, scores)
    predicted = (scores > 0.5).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(labels, predicted, labels=[0, 1]).ravel()
    assert (got.tp, got.tn, got.fp, got.fn) == (tp, tn, fp, fn)
    expected = {
        "roc_auc": sk.roc_auc_score(labels, scores),
        "average_precision": sk.average_precision_score(labels, scores),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "recall": sk.recall_score(labels, predicted),
        "tnr": tn / (tn + fp),
        "f1": sk.f1_score(labels, predicted),
    }
    if tp + fp:
        expected["precision"] = sk.precision_score(labels, predicted)
    else:
        assert got.precision is None
    assert {name: getattr(got, name) for name in expected} == pytest.approx(expected, abs=1e-12, rel=0)


@given(scored(min_each=1))
def test_the_operating_points_are_those_of_scikit_learns_curve(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    got = evaluate(labels, scores)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    assert got.tpr_at_fpr_1 == pytest.approx(tpr[fpr <= 0.01].max(), abs=1e-12)
    assert got.tpr_at_fpr_5 == pytest.approx(tpr[fpr <= 0.05].max(), abs=1e-12)
    # FPR - FNR rises along the curve; where straight lines between its points cross 0 is the EER.
    crossing = np.interp(0, fpr + tpr - 1, fpr)
    assert got.equal_error_rate == pytest.approx(crossing, abs=1e-12)
    assert got.best_balanced_accuracy == pytest.approx(((tpr + 1 - fpr) / 2).max(), abs=1e-12)


@given(scored(min_each=1))
def test_the_oracle_is_the_lowest_of_the_best_thresholds(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    got = evaluate(labels, scores)
    assert got.best_threshold is not None
    assert evaluate(labels, scores, got.best_threshold).balanced_accuracy == got.best_balanced_accuracy
    values = np.unique(scores)
    accuracies = [evaluate(labels, scores, value).balanced_accuracy for value in values]
    first = int(np.argmax(np.round(accuracies, 12)))
    assert values[first] <= got.best_threshold
    if first + 1 < len(values):
        assert got.best_threshold < values[first + 1]
        assert got.best_threshold == pytest.approx((values[first] + values[first + 1]) / 2)


@given(scored(min_each=1))
def test_calibration_equals_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    # Off the edges of the bins, where the two differ.
    scores = 0.000314159 + 0.9990271 * scores
    got = evaluate(labels, scores)
    assert got.brier == pytest.approx(sk.brier_score_loss(labels, scores), abs=1e-12)
    share, mean_score = calibration_curve(labels, scores, n_bins=15)
    sizes = np.histogram(scores, np.linspace(0, 1, 16))[0]
    expected = (sizes[sizes > 0] * np.abs(share - mean_score)).sum() / len(labels)
    assert got.calibration_error == pytest.approx(expected, abs=1e-12)


def test_calibration_by_hand() -> None:
    # 0.1 and 0.12 share the second of 15 bins, 1 lies in the last one beside 0.95.
    got = evaluate([1, 0, 0, 1], [0.1, 0.12, 1.0, 0.95])
    assert got.calibration_error == pytest.approx((abs(0.22 - 1) + abs(1.95 - 1)) / 4)
    assert got.brier == pytest.approx((0.9**2 + 0.12**2 + 1 + 0.05**2) / 4)


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    for outside in (-0.1, 1.1):
        got = evaluate([1, 0, 1], [0.9, 0.1, outside])
        assert (got.brier, got.calibration_error) == (None, None)
        assert got.roc_auc is not None
        assert got.tpr_at_fpr_1 is not None


def test_a_rate_of_false_alarms_is_kept_strictly_and_without_interpolation() -> None:
    labels = [0] * 100 + [1] * 4
    # One real in a hundred may be above the threshold, not two.
    scores = [0.9, 0.8, *[0.1] * 98, 0.95, 0.85, 0.8, 0.2]
    got = evaluate(labels, scores)
    assert got.tpr_at_fpr_1 == 2 / 4
    assert got.tpr_at_fpr_5 == 4 / 4
    assert evaluate([0] * 99 + [1], [0.9] + [0.1] * 98 + [0.5]).tpr_at_fpr_1 == 0, "1 of 99 is too many"


def test_equal_errors_of_scores_that_are_all_equal_are_a_half() -> None:
    constant = evaluate([1, 0, 0], [0.3, 0.3, 0.3])
    assert constant.equal_error_rate == 0.5
    assert (constant.best_threshold, constant.best_balanced_accuracy) == (0.3, 0.5)
    assert constant.tpr_at_fpr_5 == 0
    perfect = evaluate([1, 0, 0], [0.9, 0.3, 0.3])
    assert (perfect.equal_error_rate, perfect.best_threshold) == (0, pytest.approx(0.6))


def test_neighbouring_numbers_have_a_threshold_between_them() -> None:
    low = np.nextafter(0.5, 1)
    high = np.nextafter(low, 1)
    assert low + (high - low) / 2 == high, "the middle is rounded up"
    got = evaluate([1, 0], [high, low])
    assert (got.best_threshold, got.best_balanced_accuracy) == (low, 1)


@given(scored(min_each=1))
def test_auroc_is_the_share_of_pairs_ranked_right(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    pairs = list(itertools.product(scores[labels == 1], scores[labels == 0]))
    wins = sum((fake > real) + (fake == real) / 2 for fake, real in pairs)
    assert evaluate(labels, scores).roc_auc == wins / len(pairs)


@given(scored(), st.data())
def test_a_subset_of_sorted_images_scores_like_the_subset_alone(
    data: tuple[np.ndarray, np.ndarray], more: st.DataObject
) -> None:
    labels, scores = data
    subset = more.draw(npst.arrays(bool, len(labels)))
    assert measure(ScoredImages(labels, scores).groups(subset)) == evaluate(labels[subset], scores[subset])


@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(data: tuple[np.ndarray, np.ndarray], random) -> None:
    labels, scores = data
    order = list(range(len(labels)))
    random.shuffle(order)
    assert evaluate(labels[order], scores[order]) == evaluate(labels, scores)


@given(scored(min_each=1))
def test_swapping_the_classes_and_the_scores_mirrors_auroc(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = data
    auroc = evaluate(labels, scores).roc_auc
    assert auroc is not None
    assert evaluate(1 - labels, scores).roc_auc == pytest.approx(1 - auroc, abs=1e-15)
    assert evaluate(labels, -scores).roc_auc == pytest.approx(1 - auroc, abs=1e-15)


def test_the_threshold_is_strict() -> None:
    at = evaluate([1, 0], [0.5, 0.5])
    assert (at.tp, at.fp, at.fn, at.tn) == (0, 0, 1, 1)
    above = evaluate([1, 0], [0.5, np.nextafter(0.5, 1)])
    assert (above.tp, above.fp, above.fn, above.tn) == (0, 1, 1, 0)
    assert evaluate([1, 0], [0.3, 0.2], threshold=0.25).accuracy == 1


def test_undefined_is_none_and_never_zero() -> None:
    nothing = evaluate([], [])
    assert set(dataclasses.astuple(nothing)) == {None, 0}
    assert nothing.accuracy is None
    assert nothing.n_fake_images == 0

    reals = evaluate([0, 0], [0.1, 0.2])
    assert (reals.roc_auc, reals.average_precision, reals.balanced_accuracy) == (None, None, None)
    assert (reals.precision, reals.recall, reals.f1) == (None, None, None)
    assert (reals.accuracy, reals.tnr) == (1, 1)
    assert (reals.tpr_at_fpr_1, reals.tpr_at_fpr_5, reals.equal_error_rate) == (None, None, None)
    assert (reals.best_threshold, reals.best_balanced_accuracy) == (None, None)
    assert reals.brier == pytest.approx((0.01 + 0.04) / 2)
    assert reals.calibration_error == pytest.approx(0.15)

    fakes = evaluate([1, 1], [0.1, 0.9])
    assert (fakes.roc_auc, fakes.tnr, fakes.balanced_accuracy) == (None, None, None)
    assert (fakes.recall, fakes.precision, fakes.average_precision) == (0.5, 1, 1)
    assert (fakes.tpr_at_fpr_1, fakes.equal_error_rate, fakes.best_threshold) == (None, None, None)

    # All called real: F1 is a true 0, precision is undefined.
    timid = evaluate([1, 0], [0.2, 0.1])
    assert (timid.precision, timid.f1, timid.roc_auc) == (None, 0, 1)


def test_scores_that_float32_would_merge_stay_apart() -> None:
    assert evaluate([1, 0], [0.7 + 1e-12, 0.7]).roc_auc == 1


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5], "one length"),
        ([[1], [0]], [[0.5], [0.5]], "one length"),
        ([1, 2], [0.5, 0.5], "neither 0"),
        ([1, 0], [0.5, float("nan")], "finite"),
        ([1, 0], [0.5, float("inf")], "finite"),
    ],
)
def test_what_is_no_scored_set_is_refused(labels: list, scores: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(labels, scores)


def test_a_mean_never_skips_a_gap() -> None:
    assert mean([0.5, 1.0]) == 0.75
    assert mean([0.0, 0.0]) == 0
    assert mean([0.5, None]) is None
    assert mean([]) is None
