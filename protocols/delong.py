"""The uncertainty of AUROCs over images: DeLong's variance, intervals and paired tests.

An AUROC is θ = mean of V10 over the m fakes = mean of V01 over the n reals, where V10(i)
is the share of reals that fake i beats and V01(j) the share of fakes that beat real j,
ties counting half. DeLong, DeLong and Clarke-Pearson (1988, eq. 4-6) estimate

    var θ = Σ (V10(i) - θ)² / (m (m - 1)) + Σ (V01(j) - θ)² / (n (n - 1)).

Here each summand is kept as the square of one image's *contribution*, (V - θ) divided by
√(m (m - 1)) or √(n (n - 1)), and 0 for an image outside the set. Then every variance and
covariance is a dot product over images: var θ = c·c, cov(θ₁, θ₂) = c₁·c₂, which on one set
is DeLong's covariance; and a weighted mean of AUROCs whose sets overlap partly, such as
the average over time of the Past period, has the contribution Σ wₜ cₜ.

The placements come from counts of tied scores (Sun and Xu 2014 get them from midranks),
exactly and in O(n log n). The images of a set count as one sample from one population;
the spread between generators is another matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.metrics import roc_auc
from protocols.scores import ScoredImages, TieGroups


@dataclass(frozen=True)
class Auroc:
    """An AUROC, or a weighted mean of some, with what it owes to every image.

    ``contributions`` [n images] sum in squares to the variance. ``n_pairs``: the
    smaller class, that is how many disjoint (fake, real) pairs the images make.
    """

    value: float
    contributions: NDArray[np.floating[Any]]
    n_pairs: int

    @property
    def variance(self) -> float | None:
        """DeLong's variance; ``None`` when a class has a single image."""
        return float(np.square(self.contributions).sum()) if self.n_pairs > 1 else None


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """``difference`` of two AUROCs, its standard error, and the two-sided p-value of no difference."""

    difference: float
    standard_error: float
    p_value: float


def delong(labels: ArrayLike, scores: ArrayLike) -> Auroc | None:
    """The AUROC of images with ``labels`` [n] (0 real, 1 fake) and ``scores`` [n].

    ``None`` unless there are fakes and reals. Raises ``ValueError`` for what
    :class:`~protocols.scores.ScoredImages` refuses.
    """
    return delong_of(ScoredImages(labels, scores).groups())


def delong_of(groups: TieGroups) -> Auroc | None:
    """The AUROC of a set that is already sorted; its contributions cover all images beside the set too."""
    value = roc_auc(groups)
    if value is None:
        return None
    by_fake, by_real = _owed(groups, value)
    sizes = groups.fakes + groups.reals
    contributions = np.zeros(groups.n_images)
    contributions[groups.positions] = np.where(
        groups.is_fake, np.repeat(by_fake, sizes), np.repeat(by_real, sizes)
    )
    return Auroc(value, contributions, min(groups.n_fakes, groups.n_reals))


def delong_variance(groups: TieGroups) -> float | None:
    """The variance of :func:`delong_of` alone, which needs no number for every image."""
    value = roc_auc(groups)
    if value is None or min(groups.n_fakes, groups.n_reals) < 2:
        return None
    by_fake, by_real = _owed(groups, value)
    return float((groups.fakes * by_fake**2 + groups.reals * by_real**2).sum())


def _owed(groups: TieGroups, value: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a fake and what a real with each distinct score contributes to the AUROC ``value``."""
    m, n = groups.n_fakes, groups.n_reals
    # A class of one image has no spread to estimate: the variance is then None.
    by_fake = (groups.doubled_reals_below / (2 * n) - value) / math.sqrt(max(m * (m - 1), 1))
    by_real = (groups.doubled_fakes_above / (2 * m) - value) / math.sqrt(max(n * (n - 1), 1))
    return by_fake, by_real


def weighted_mean(estimates: Sequence[Auroc], weights: Sequence[float] | None = None) -> Auroc:
    """The weighted mean of AUROCs whose contributions index the same images. Equal weights by default.

    Raises ``ValueError`` for no estimate, or weights that are negative or sum to 0.
    """
    given = [1.0] * len(estimates) if weights is None else list(weights)
    total = math.fsum(given)
    if len(given) != len(estimates) or not total > 0 or min(given) < 0:
        raise ValueError(f"{len(estimates)} estimates need as many weights ≥ 0 with a positive sum")
    contributions = np.zeros(estimates[0].contributions.shape)
    for weight, estimate in zip(given, estimates, strict=True):
        contributions += (weight / total) * estimate.contributions
    return Auroc(
        # Dividing last keeps a mean of ones at exactly 1, which `interval` relies on.
        value=math.fsum(w * e.value for w, e in zip(given, estimates, strict=True)) / total,
        contributions=contributions,
        n_pairs=min(estimate.n_pairs for estimate in estimates),
    )


def interval(estimate: Auroc, level: float = 0.95) -> Interval | None:
    """A two-sided confidence interval inside [0, 1]; ``None`` when a class has a single image.

    Normal on the logit scale: logit θ ± z √var / (θ (1 - θ)) (Pepe 2003, section 5.2.3),
    which never leaves [0, 1]. Two cases have no spread to go by:

    - θ exactly 1 (or 0): with r disjoint pairs, all ranked right, the exact binomial bound
      (α/2)^(1/r) (Clopper-Pearson) is the lower (or mirrored, the upper) end. It holds for
      a mean of AUROCs too, with r of the smallest set, as the worst is not above the mean.
    - equal scores for all images: θ is ½ by construction and the interval is [½, ½].

    In a mean with other terms, a term of either kind adds no width.
    """
    variance = estimate.variance
    if variance is None:
        return None
    tail = (1 - level) / 2
    bound = tail ** (1 / estimate.n_pairs)
    value = estimate.value
    if value >= 1:
        return Interval(bound, 1.0)
    if value <= 0:
        return Interval(0.0, 1 - bound)
    return logit_interval(value, NormalDist().inv_cdf(1 - tail) * math.sqrt(variance))


def logit_interval(value: float, half_width: float) -> Interval:
    """The interval ``value`` ± ``half_width``, carried over to the logit scale; 0 < ``value`` < 1."""
    logit = math.log(value / (1 - value))
    half = half_width / (value * (1 - value))
    # Rounding may carry an end of a very short interval past the value.
    return Interval(min(_expit(logit - half), value), max(_expit(logit + half), value))


def paired_test(first: Auroc, second: Auroc) -> PairedTest | None:
    """Test that two detectors have one AUROC, both scored on the same images in the same order.

    z = (θ₁ - θ₂) / √(var θ₁ + var θ₂ - 2 cov) (DeLong et al. 1988, section 3). ``None``
    when a class has a single image. Two detectors without any spread (each separates
    perfectly or scores all images alike) are compared by the sign test on r disjoint pairs,
    p = 2^(1 - r); no difference at all gives p = 1.

    Raises ``ValueError`` when the contributions differ in length.
    """
    if first.contributions.shape != second.contributions.shape:
        raise ValueError("the two AUROCs are not of the same images")
    n_pairs = min(first.n_pairs, second.n_pairs)
    if n_pairs < 2:
        return None
    difference = first.value - second.value
    owed = first.contributions - second.contributions
    standard_error = math.sqrt(float(np.square(owed).sum()))
    if difference == 0:
        p_value = 1.0
    elif standard_error == 0:
        p_value = 2.0 ** (1 - n_pairs)
    else:
        p_value = math.erfc(abs(difference) / standard_error / math.sqrt(2))
    return PairedTest(difference, standard_error, p_value)


def _expit(x: float) -> float:
    """The logistic function without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
