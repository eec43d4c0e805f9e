"""How well a classifier tells fakes from reals that sees numbers about the files and never a pixel.

Gradient-boosted trees (Friedman 2001; scikit-learn), stratified 5-fold cross-validation: an image is
scored by a model that has not seen it. The AUROC is the mean over the folds, and its 95 % interval
DeLong's over images. That each fold has a model of its own adds spread that the interval does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from protocols.delong import Auroc, Interval, delong_of, interval, weighted_mean
from protocols.scores import ScoredImages

Features = Mapping[str, NDArray[np.float64]]
# From the features of some images [n] to how probable it is that each is a fake [n].
Teller = Callable[[Features], NDArray[np.float64]]
# The rows that a model is fitted to, and those that it scores.
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

FOLDS = 5
# Of fewer images a class nothing can be learned that an interval would not swallow.
MIN_CLASS = 20

MISSING = -1.0

_SEED = 2026
# Small trees and many of them: the sets have some dozens to some thousands of rows, for which exact
# splits are several times as fast as histograms.
_BOOSTED = {
    "n_estimators": 40,
    "learning_rate": 0.2,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 10,
    "random_state": _SEED,
}


@dataclass(frozen=True)
class Sample:
    """``labels`` [n] (0 real, 1 fake) and the features [n] of some images, NaN where one is missing."""

    labels: NDArray[np.int64]
    features: Features

    @property
    def n_fakes(self) -> int:
        return int(self.labels.sum())

    @property
    def n_reals(self) -> int:
        return len(self.labels) - self.n_fakes

    @property
    def is_enough(self) -> bool:
        return min(self.n_fakes, self.n_reals) >= MIN_CLASS


@dataclass(frozen=True)
class Telling:
    """An AUROC with its interval, and how far above 0.5 it is for each feature alone.

    What a model of all features goes by would name one of several that tell the same.
    """

    auroc: float
    interval: Interval | None
    importance: dict[str, float]
    n_fakes: int
    n_reals: int


def telling(samples: Sequence[Sample]) -> Telling | None:
    """How well the features tell the labels, in the mean over ``samples`` (by their pairs).

    Images of two samples are never compared. A sample of too few images is left out; ``None``
    where none is left.
    """
    used = [sample for sample in samples if sample.is_enough]
    if not used:
        return None
    estimates = [_cross_validated(sample.labels, _columns(sample.features)) for sample in used]
    alone = {name: [_alone(sample, name) for sample in used] for name in used[0].features}
    weights = [float(min(sample.n_fakes, sample.n_reals)) for sample in used]
    value, spread = _mean(estimates, weights)
    importance = {name: float(np.average(values, weights=weights)) for name, values in alone.items()}
    return Telling(value, spread, importance, sum(s.n_fakes for s in used), sum(s.n_reals for s in used))


def learned(sample: Sample) -> Teller:
    """What the trees learn from a whole sample, of one image a class or more, to be used on other images."""
    model = _fitted(_boosted(), sample.labels, _columns(sample.features))

    def tell(features: Features) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = model.predict_proba(_columns(features))[:, 1]
        return scores

    return tell


def _columns(features: Features) -> NDArray[np.float64]:
    """[n, k]. Numbers about files are never negative, so a tree can tell what is missing."""
    columns = np.column_stack(list(features.values()))
    return np.where(np.isnan(columns), MISSING, columns)


def _fitted(
    model: ClassifierMixin, labels: NDArray[np.int64], columns: NDArray[np.float64]
) -> ClassifierMixin:
    """Both classes weigh alike, whatever their numbers."""
    return model.fit(columns, labels, sample_weight=compute_sample_weight("balanced", labels))


def _boosted() -> ClassifierMixin:
    return GradientBoostingClassifier(**_BOOSTED)


def _tree() -> ClassifierMixin:
    """What one number alone can tell needs no more than a small tree, which is a hundred times as fast."""
    return DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=10, random_state=_SEED)


def _cross_validated(
    labels: NDArray[np.int64],
    columns: NDArray[np.float64],
    make_model: Callable[[], ClassifierMixin] = _boosted,
) -> Auroc:
    """The AUROC of images [n] with these columns [n, k], in the mean over the folds."""
    scores = np.zeros(len(columns))
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED).split(columns, labels))
    for train, test in folds:
        model = _fitted(make_model(), labels[train], columns[train])
        scores[test] = model.predict_proba(columns[test])[:, 1]
    return _mean_of_folds(labels, scores, folds)


def _alone(sample: Sample, name: str) -> float:
    """How far above a guess the AUROC of one feature alone is."""
    return max(
        0.0, _cross_validated(sample.labels, _columns({name: sample.features[name]}), _tree).value - 0.5
    )


def _mean_of_folds(labels: NDArray[np.int64], scores: NDArray[np.float64], folds: Sequence[Fold]) -> Auroc:
    """Fold by fold, since the scores of two models can't be compared."""
    scored = ScoredImages(labels, scores)
    estimates = []
    for _, test in folds:
        estimate = delong_of(scored.groups(np.isin(np.arange(len(labels)), test)))
        assert estimate is not None, "every fold has both classes"
        estimates.append(estimate)
    mean = weighted_mean(estimates)
    # The folds are disjoint and estimate one thing, so their pairs add up.
    return Auroc(mean.value, mean.contributions, sum(estimate.n_pairs for estimate in estimates))


def _mean(estimates: Sequence[Auroc], weights: Sequence[float]) -> tuple[float, Interval | None]:
    """The weighted mean of AUROCs over different images."""
    total = sum(len(estimate.contributions) for estimate in estimates)
    padded, start = [], 0
    for estimate in estimates:
        contributions = np.zeros(total)
        contributions[start : start + len(estimate.contributions)] = estimate.contributions
        padded.append(Auroc(estimate.value, contributions, estimate.n_pairs))
        start += len(estimate.contributions)
    mean = weighted_mean(padded, weights)
    return mean.value, interval(mean)
