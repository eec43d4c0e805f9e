from __future__ import annotations

import numpy as np
import pytest

from leaderboard.models import UnitScore
from leaderboard.selectors.estimates import Estimate, auroc
from protocols.delong import delong, interval

LABELS = np.array([1] * 40 + [0] * 60)


def stored(scores: np.ndarray) -> UnitScore:
    """What scoring keeps of an AUROC: its value, its variance and the counts."""
    estimate = delong(LABELS, scores)
    assert estimate is not None
    return UnitScore(roc_auc=estimate.value, roc_auc_variance=estimate.variance, tp=30, fn=10, tn=50, fp=10)


@pytest.mark.parametrize("shift", [0.0, 1.0, 30.0, -30.0])
def test_the_interval_of_stored_numbers_is_that_of_the_images(shift: float) -> None:
    scores = np.random.default_rng(7).normal(size=100) + shift * LABELS
    exact = interval(delong(LABELS, scores))
    found = auroc(stored(scores))
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_undefined_stays_none() -> None:
    assert auroc(UnitScore(roc_auc=None, tp=0, fn=0, tn=5, fp=0)) == Estimate(None, None, None)


def test_one_image_of_a_class_gives_a_value_without_an_interval() -> None:
    score = UnitScore(roc_auc=0.8, roc_auc_variance=None, tp=1, fn=0, tn=5, fp=0)
    assert auroc(score) == Estimate(0.8, None, None)
