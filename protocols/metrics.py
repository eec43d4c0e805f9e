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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from protocols.scores import ScoredImages, TieGroups

THRESHOLD = 0.5

# The metrics that can be averaged; the rest are counts.
FRACTIONS = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "tnr",
)


@dataclass(frozen=True)
class Metrics:
    """All metrics as fractions of 1, and counts of images."""

    roc_auc: float | None
    average_precision: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    tnr: float | None
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
    first_positive = int(np.searchsorted(groups.values, threshold, side="right"))
    tp = int(groups.fakes[first_positive:].sum())
    fp = int(groups.reals[first_positive:].sum())
    fn, tn = groups.n_fakes - tp, groups.n_reals - fp
    recall = _ratio(tp, tp + fn)
    tnr = _ratio(tn, tn + fp)
    return Metrics(
        roc_auc=roc_auc(groups),
        average_precision=_average_precision(groups),
        accuracy=_ratio(tp + tn, tp + tn + fp + fn),
        balanced_accuracy=None if recall is None or tnr is None else (recall + tnr) / 2,
        precision=_ratio(tp, tp + fp),
        recall=recall,
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        tnr=tnr,
        tp=tp,
        tn=tn,
        fp=fp,
        fn=fn,
        n_real_images=groups.n_reals,
        n_fake_images=groups.n_fakes,
    )


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
    true_positives = groups.n_fakes - np.cumsum(groups.fakes) + groups.fakes
    false_positives = groups.n_reals - np.cumsum(groups.reals) + groups.reals
    precision = true_positives / (true_positives + false_positives)
    # Not a dot product: on a busy machine the threads of BLAS cost more than the sum.
    return float((groups.fakes * precision).sum()) / groups.n_fakes


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
