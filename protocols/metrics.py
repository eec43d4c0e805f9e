"""The metrics of a scored set of images. Undefined is ``None``, never 0.

An image counts as predicted fake iff its score is strictly above the threshold. With the
counts tp, fp, tn, fn at the threshold, N = tp + fp + tn + fn:

================== ====================================== =============================
accuracy           (tp + tn) / N                          no image
recall             tp / (tp + fn)                         no fake
tnr                tn / (tn + fp)                         no real
balanced_accuracy  (recall + tnr) / 2                     no fake or no real
precision          tp / (tp + fp)                         nothing predicted fake
f1                 2 tp / (2 tp + fp + fn)                no fake, none predicted
roc_auc            P(fake > real) + P(fake = real) / 2    no fake or no real
average_precision  Σ (R_i - R_(i-1)) P_i                  no fake
================== ====================================== =============================

(the last column says when a metric is undefined). AUROC is the Mann-Whitney statistic,
exact with ties (Bamber 1975). Average precision sums over the distinct scores, highest
first, without interpolation. The official code reports 0 for an undefined precision or
F1; every other value agrees with it.

The official code has no more than these. What follows looks at all thresholds (undefined
without a fake or without a real) or takes the score for the probability that an image is
fake (undefined without an image, or if a score is outside [0, 1]):

- ``tpr_at_fpr_1``, ``tpr_at_fpr_5``: the highest recall at a threshold at which at most 1 %
  (5 %) of the reals are called fake. There is no interpolation: the threshold is one that
  could be set.
- ``equal_error_rate``: the share of reals called fake where it is the share of fakes called
  real, on the straight line between the two neighbouring points of the ROC curve.
- ``best_threshold``, ``best_balanced_accuracy``: the *oracle*, the threshold with the highest
  balanced accuracy on these very images. It lies midway between two neighbouring scores;
  of equally good ones it is the lowest; where calling nothing fake is as good as any, which
  gives ½, it can be the highest score. An oracle knows the answers and is never ranked.
- ``brier``: mean of (score - label)² (Brier 1950).
- ``calibration_error``: Σ over 15 bins of equal width on [0, 1] of (images in the bin / N) ·
  |mean score - share of fakes| (the expected calibration error of Guo et al. 2017, here of
  the probability of "fake"). A bin holds its lower edge; the last one holds 1 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.scores import ScoredImages, TieGroups

THRESHOLD = 0.5

N_CALIBRATION_BINS = 15

# The metrics that the official code has.
OFFICIAL = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "tnr",
)
# The metrics that can be averaged; the rest are counts, and a threshold.
FRACTIONS = (
    *OFFICIAL,
    "tpr_at_fpr_1",
    "tpr_at_fpr_5",
    "equal_error_rate",
    "brier",
    "calibration_error",
    "best_balanced_accuracy",
)


@dataclass(frozen=True)
class Metrics:
    """All metrics as fractions of 1, a threshold on the scores, and counts of images."""

    roc_auc: float | None
    average_precision: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    tnr: float | None
    tpr_at_fpr_1: float | None
    tpr_at_fpr_5: float | None
    equal_error_rate: float | None
    brier: float | None
    calibration_error: float | None
    best_threshold: float | None
    best_balanced_accuracy: float | None
    tp: int
    tn: int
    fp: int
    fn: int
    n_real_images: int
    n_fake_images: int


def evaluate(labels: ArrayLike, scores: ArrayLike, threshold: float = THRESHOLD) -> Metrics:
    """The metrics of images with ``labels`` [n] (0 real, 1 fake) and ``scores`` [n].

    Raises ``ValueError`` for what :class:`~protocols.scores.ScoredImages` refuses.
    """
    return measure(ScoredImages(labels, scores).groups(), threshold)


def measure(groups: TieGroups, threshold: float = THRESHOLD) -> Metrics:
    """The metrics of a set of images that is already sorted; see :func:`evaluate`."""
    counts = count(groups, threshold)
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    best = _best_threshold(groups)
    return Metrics(
        roc_auc=roc_auc(groups),
        average_precision=_average_precision(groups),
        accuracy=_ratio(tp + tn, tp + tn + fp + fn),
        balanced_accuracy=counts.balanced_accuracy,
        precision=_ratio(tp, tp + fp),
        recall=counts.recall,
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        tnr=counts.tnr,
        tpr_at_fpr_1=_recall_at(groups, 1),
        tpr_at_fpr_5=_recall_at(groups, 5),
        equal_error_rate=_equal_error_rate(groups),
        brier=_brier(groups),
        calibration_error=_calibration_error(groups),
        best_threshold=best,
        best_balanced_accuracy=None if best is None else count(groups, best).balanced_accuracy,
        tp=tp,
        tn=tn,
        fp=fp,
        fn=fn,
        n_real_images=groups.n_reals,
        n_fake_images=groups.n_fakes,
    )


@dataclass(frozen=True)
class Counts:
    """How many images a threshold calls what."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def recall(self) -> float | None:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def tnr(self) -> float | None:
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def balanced_accuracy(self) -> float | None:
        recall, tnr = self.recall, self.tnr
        return None if recall is None or tnr is None else (recall + tnr) / 2


def count(groups: TieGroups, threshold: float) -> Counts:
    """What ``threshold`` calls the images of a set; a score that equals it is not above it."""
    last_below = int(np.searchsorted(groups.values, threshold, side="right")) - 1
    tp = int(groups.fakes_above[last_below]) if last_below >= 0 else groups.n_fakes
    fp = int(groups.reals_above[last_below]) if last_below >= 0 else groups.n_reals
    return Counts(tp, fp, groups.n_fakes - tp, groups.n_reals - fp)


def roc_auc(groups: TieGroups) -> float | None:
    """The exact AUROC: one division of integers. ``None`` unless there are fakes and reals."""
    doubled_wins = int(groups.fakes @ groups.doubled_reals_below)
    return _ratio(doubled_wins, 2 * groups.n_fakes * groups.n_reals)


def mean(values: Sequence[float | None]) -> float | None:
    """The mean, or ``None`` if a value is missing or there is none: a gap is never averaged over."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _average_precision(groups: TieGroups) -> float | None:
    if groups.n_fakes == 0:
        return None
    # At each distinct score as the threshold, itself included.
    true_positives = groups.fakes_above + groups.fakes
    false_positives = groups.reals_above + groups.reals
    precision = true_positives / (true_positives + false_positives)
    # Not a dot product: on a busy machine the threads of BLAS cost more than the sum.
    return float((groups.fakes * precision).sum()) / groups.n_fakes


def calibration_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each score [n] in [0, 1], from 0: it holds its lower edge, and the last one 1 too."""
    return np.minimum((scores * N_CALIBRATION_BINS).astype(np.int64), N_CALIBRATION_BINS - 1)


def threshold_at(groups: TieGroups, percent: int) -> float | None:
    """The lowest threshold with at most ``percent`` of the reals above it; ``None`` without a real."""
    if not groups.n_reals:
        return None
    allowed = groups.n_reals * percent // 100
    # The counts fall from score to score, and at the highest score nothing is above it.
    return float(groups.values[np.searchsorted(-groups.reals_above, -allowed)])


def _recall_at(groups: TieGroups, percent: int) -> float | None:
    threshold = threshold_at(groups, percent)
    return None if threshold is None else count(groups, threshold).recall


def _equal_error_rate(groups: TieGroups) -> float | None:
    m, n = groups.n_fakes, groups.n_reals
    if not m or not n:
        return None
    # m n (FPR - FNR) with each distinct score as the threshold: it falls from score to score.
    excess = groups.reals_above * m - (m - groups.fakes_above) * n
    after = int(np.searchsorted(-excess, 0))
    # Below the lowest score everything is called fake.
    excess_before, false_before = (
        (int(excess[after - 1]), int(groups.reals_above[after - 1])) if after else (m * n, n)
    )
    share = excess_before / (excess_before - int(excess[after]))
    return (false_before + share * (int(groups.reals_above[after]) - false_before)) / n


def _best_threshold(groups: TieGroups) -> float | None:
    m, n = groups.n_fakes, groups.n_reals
    if not m or not n:
        return None
    # m n (recall - FPR) in integers, so that equally good thresholds are equal.
    at = int(np.argmax(groups.fakes_above * n - groups.reals_above * m))
    low = float(groups.values[at])
    if at + 1 == len(groups.values):
        return low
    high = float(groups.values[at + 1])
    # Between two neighbouring floating-point numbers there is no other.
    middle = low + (high - low) / 2
    return middle if middle < high else low


def _are_probabilities(groups: TieGroups) -> bool:
    return len(groups.values) > 0 and bool(groups.values[0] >= 0) and bool(groups.values[-1] <= 1)


def _brier(groups: TieGroups) -> float | None:
    if not _are_probabilities(groups):
        return None
    squares = groups.reals * groups.values**2 + groups.fakes * (1 - groups.values) ** 2
    return float(squares.sum()) / (groups.n_fakes + groups.n_reals)


def _calibration_error(groups: TieGroups) -> float | None:
    if not _are_probabilities(groups):
        return None
    excess = groups.values * (groups.fakes + groups.reals) - groups.fakes
    by_bin = np.bincount(calibration_bins(groups.values), excess)
    return float(np.abs(by_bin).sum()) / (groups.n_fakes + groups.n_reals)


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
