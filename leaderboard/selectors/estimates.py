"""An AUROC with its interval, as every page and answer shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboard.models.scores import Metrics
from protocols.delong import Auroc, interval

Floats = NDArray[np.float64]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value in [0, 1] with its 95 % interval; a part that is missing or undefined is ``None``."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Bounded(NamedTuple):
    """The parts of an :class:`Estimate`, for tables of many."""

    value: float | None
    low: float | None
    high: float | None


def auroc(score: Metrics) -> Estimate:
    """The stored AUROC with the interval that its stored DeLong variance gives (``delong.interval``)."""
    if score.roc_auc is None or score.roc_auc_variance is None:
        return Estimate(score.roc_auc)
    # The variance is the sum of squared contributions, so one contribution can stand for all of them.
    spread = np.array([math.sqrt(score.roc_auc_variance)])
    n_pairs = min(score.tp + score.fn, score.tn + score.fp)
    bounds = interval(Auroc(score.roc_auc, spread, n_pairs), LEVEL)
    return Estimate(score.roc_auc, bounds.low, bounds.high) if bounds else Estimate(score.roc_auc)


def bounded(values: Floats, variances: Floats, n_pairs: Floats) -> Iterator[Bounded]:
    """What :func:`auroc` gives, for many at once: [n] each, with NaN for what is missing."""
    tail = (1 - LEVEL) / 2
    bound = tail ** (1 / np.maximum(n_pairs, 1))
    inside = (values > 0) & (values < 1)
    safe = np.where(inside, values, 0.5)
    width = NormalDist().inv_cdf(1 - tail) * np.sqrt(variances) / (safe * (1 - safe))
    logit = np.log(safe / (1 - safe))
    low, high = 1 / (1 + np.exp(width - logit)), 1 / (1 + np.exp(-width - logit))
    # Rounding may carry an end of a very short interval past the value.
    low, high = np.minimum(low, safe), np.maximum(high, safe)
    low = np.where(values >= 1, bound, np.where(values <= 0, 0.0, low))
    high = np.where(values >= 1, 1.0, np.where(values <= 0, 1 - bound, high))
    known = ~np.isnan(variances)
    low, high = np.where(known, low, np.nan), np.where(known, high, np.nan)

    def parts(column: Floats) -> list[Any]:
        return [None if math.isnan(value) else value for value in column.tolist()]

    return map(Bounded, parts(values), parts(low), parts(high))
