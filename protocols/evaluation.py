"""A whole run: every checkpoint on every period, and the averages over time.

The evaluator and the command line both score through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.delong import Auroc, Interval, delong_of, interval, weighted_mean
from protocols.metrics import FRACTIONS, THRESHOLD, Metrics, mean, measure
from protocols.periods import Period, averaged_steps, window_range
from protocols.scores import ScoredImages


@dataclass(frozen=True)
class PeriodResult:
    """One checkpoint on one period. ``auroc`` (with DeLong's variance) is ``None`` where undefined."""

    metrics: Metrics
    auroc: Auroc | None


@dataclass(frozen=True)
class Average:
    """The average over time of one period, for every fraction in :class:`Metrics`.

    ``steps``: the windows averaged. A value is ``None`` unless it is defined at every
    one of them. ``interval``: 95 %, of the mean AUROC, over images.
    """

    steps: tuple[int, ...]
    means: Mapping[str, float | None]
    interval: Interval | None


def evaluate_step(
    labels: ArrayLike,
    scores: ArrayLike,
    window_of: NDArray[np.integer[Any]],
    step: int,
    n_windows: int,
    *,
    paper_compatible: bool = False,
    threshold: float = THRESHOLD,
) -> dict[Period, PeriodResult]:
    """The checkpoint after window ``step`` on every period.

    ``labels`` [n] (0 real, 1 fake) and ``scores`` [n]; ``window_of`` [n] is the window of
    an image's generator, for a real of its partner's. Images outside the ``n_windows``
    windows (-1, or beyond) are in no period. ``paper_compatible``: see :mod:`~protocols.periods`.
    """
    images = ScoredImages(labels, scores)
    results = {}
    for period in Period:
        covered = window_range(period, step, n_windows, paper_compatible=paper_compatible)
        groups = images.groups((window_of >= covered.start) & (window_of < covered.stop))
        results[period] = PeriodResult(measure(groups, threshold), delong_of(groups))
    return results


def average_over_time(
    results: Mapping[int, Mapping[Period, PeriodResult]],
    period: Period,
    n_windows: int,
    *,
    paper_compatible: bool = False,
) -> Average:
    """Average one period over the steps that :func:`~protocols.periods.averaged_steps` names.

    ``results`` maps a step to what :func:`evaluate_step` gave, all of it for the same
    images in the same order. A step that is missing makes every mean ``None``.
    """
    steps = averaged_steps(period, n_windows, paper_compatible=paper_compatible)
    found = [results[step][period] for step in steps if step in results]
    if len(found) < len(steps):
        return Average(tuple(steps), dict.fromkeys(FRACTIONS), None)
    means = {name: mean([getattr(result.metrics, name) for result in found]) for name in FRACTIONS}
    aurocs = [result.auroc for result in found if result.auroc is not None]
    complete = len(aurocs) == len(steps) > 0
    return Average(tuple(steps), means, interval(weighted_mean(aurocs)) if complete else None)
