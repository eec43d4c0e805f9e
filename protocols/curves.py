"""What is drawn of one set of scored images: the ROC curve, the scores by class, the calibration.

All read the distinct scores of a set (``ScoredImages(labels, scores).groups(subset)``), so
one sorting does for all of them. The numbers are few enough for a page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.metrics import N_CALIBRATION_BINS, calibration_bins
from protocols.scores import TieGroups

MAX_ROC_POINTS = 101
N_HISTOGRAM_BINS = 25


@dataclass(frozen=True)
class RocPoint:
    """The shares of reals (``fpr``) and fakes (``tpr``) whose score is above ``threshold``.

    The threshold is ``None`` where everything is called fake.
    """

    fpr: float
    tpr: float
    threshold: float | None


@dataclass(frozen=True)
class HistogramBin:
    """How many images of each class score from ``low`` to below ``high``; the last bin holds 1 too."""

    low: float
    high: float
    fakes: int
    reals: int


@dataclass(frozen=True)
class ReliabilityBin:
    """The images that score from ``low`` to below ``high`` (the last bin holds 1 too).

    ``mean_score`` and ``share_of_fakes`` are equal where scores are probabilities; both
    are ``None`` in an empty bin.
    """

    low: float
    high: float
    n: int
    mean_score: float | None
    share_of_fakes: float | None


def roc(groups: TieGroups) -> list[RocPoint]:
    """The ROC curve from (0, 0) to (1, 1), at most :data:`MAX_ROC_POINTS` of its points.

    A curve with more is thinned to points at even distances along it, measured as FPR +
    TPR, so that its steep start keeps its shape. Empty without a fake or without a real.
    """
    m, n = groups.n_fakes, groups.n_reals
    if not m or not n:
        return []
    # From the highest score, above which nothing is, down to below the lowest.
    tpr = np.append(groups.fakes_above[::-1], m) / m
    fpr = np.append(groups.reals_above[::-1], n) / n
    thresholds = [*groups.values[::-1].tolist(), None]
    chosen = np.arange(len(tpr))
    if len(chosen) > MAX_ROC_POINTS:
        stops = np.linspace(0, 2, MAX_ROC_POINTS)
        # Rounding may leave the sum of the last point a little below 2.
        chosen = np.unique(np.minimum(np.searchsorted(fpr + tpr, stops), len(tpr) - 1))
    return [RocPoint(float(fpr[i]), float(tpr[i]), thresholds[i]) for i in chosen]


def histogram(groups: TieGroups) -> list[HistogramBin]:
    """The scores of each class in :data:`N_HISTOGRAM_BINS` bins of equal width on [0, 1].

    Raises ``ValueError`` for a score outside [0, 1].
    """
    _refuse_outside(groups)
    n = N_HISTOGRAM_BINS
    of_score = np.minimum((groups.values * n).astype(np.int64), n - 1)
    fakes = np.bincount(of_score, groups.fakes, minlength=n)
    reals = np.bincount(of_score, groups.reals, minlength=n)
    return [HistogramBin(i / n, (i + 1) / n, int(fakes[i]), int(reals[i])) for i in range(n)]


def reliability(groups: TieGroups) -> list[ReliabilityBin]:
    """The reliability diagram, in the bins of ``calibration_error``.

    The error is Σ n / N · |mean score - share of fakes| over them. Raises ``ValueError``
    for a score outside [0, 1].
    """
    _refuse_outside(groups)
    bins = N_CALIBRATION_BINS
    of_score = calibration_bins(groups.values)
    sizes = groups.fakes + groups.reals
    n = np.bincount(of_score, sizes, minlength=bins)
    scores = np.bincount(of_score, sizes * groups.values, minlength=bins)
    fakes = np.bincount(of_score, groups.fakes, minlength=bins)
    return [
        ReliabilityBin(
            low=i / bins,
            high=(i + 1) / bins,
            n=int(n[i]),
            mean_score=float(scores[i] / n[i]) if n[i] else None,
            share_of_fakes=float(fakes[i] / n[i]) if n[i] else None,
        )
        for i in range(bins)
    ]


def _refuse_outside(groups: TieGroups) -> None:
    if len(groups.values) and not (groups.values[0] >= 0 and groups.values[-1] <= 1):
        raise ValueError("a score is outside [0, 1]")
