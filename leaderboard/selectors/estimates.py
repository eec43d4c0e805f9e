"""An AUROC with its interval, as every page and answer shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from leaderboard.models.scores import Metrics
from protocols.delong import Auroc, interval


@dataclass(frozen=True)
class Estimate:
    """A value in [0, 1] with its 95 % interval; a part that is missing or undefined is ``None``."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def auroc(score: Metrics) -> Estimate:
    """The stored AUROC with the interval that its stored DeLong variance gives (``delong.interval``)."""
    if score.roc_auc is None or score.roc_auc_variance is None:
        return Estimate(score.roc_auc)
    # The variance is the sum of squared contributions, so one contribution can stand for all of them.
    spread = np.array([math.sqrt(score.roc_auc_variance)])
    n_pairs = min(score.tp + score.fn, score.tn + score.fp)
    bounds = interval(Auroc(score.roc_auc, spread, n_pairs))
    return Estimate(score.roc_auc, bounds.low, bounds.high) if bounds else Estimate(score.roc_auc)
