"""A whole run: every checkpoint on every period, and the averages over time.

The evaluator and the command line both score through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocols.delong import Auroc, Interval, delong_of, delong_variance, interval, weighted_mean
from protocols.metrics import FRACTIONS, THRESHOLD, Metrics, count, mean, measure
from protocols.periods import Period, averaged_steps, window_range
from protocols.scores import ScoredImages, TieGroups


@dataclass(frozen=True)
class PastThreshold:
    """The Next period judged with the threshold that is best on the Past of the same checkpoint.

    Such a threshold could be had: it needs no image of the generators that it is applied to.
    """

    past_threshold: float
    past_balanced_accuracy: float | None
    past_tnr: float | None
    past_recall: float | None


# The fractions of the threshold policy; they exist for the Next period alone.
PAST_FRACTIONS = ("past_balanced_accuracy", "past_tnr", "past_recall")


@dataclass(frozen=True)
class PeriodResult:
    """One checkpoint on one period. ``auroc`` (with DeLong's variance) is ``None`` where undefined.

    ``past`` is for the Next period alone, and ``None`` where there is no best threshold of
    the Past or no image to apply it to.
    """

    metrics: Metrics
    auroc: Auroc | None
    past: PastThreshold | None = None


@dataclass(frozen=True)
class UnitResult:
    """One checkpoint on one generator, with DeLong's variance of its AUROC."""

    metrics: Metrics
    roc_auc_variance: float | None


@dataclass(frozen=True)
class Average:
    """The average over time of one period, for every fraction in :class:`Metrics`.

    ``steps``: the windows averaged. A value is ``None`` unless it is defined at every
    one of them. ``auroc``: the mean AUROC with what it owes to every image. The means of
    the Next period have those of the past threshold too.
    """

    steps: tuple[int, ...]
    means: Mapping[str, float | None]
    auroc: Auroc | None

    @cached_property
    def interval(self) -> Interval | None:
        """95 %, of the mean AUROC, over images."""
        return interval(self.auroc) if self.auroc is not None else None


class Checkpoint:
    """The checkpoint after window ``step`` with its scores, sorted once for all that is asked of it.

    ``labels`` [n] (0 real, 1 fake) and ``scores`` [n]; ``window_of`` [n] is the window of
    an image's generator, for a real of its partner's, and -1 for an image in no period.

    Raises ``ValueError`` for what :class:`~protocols.scores.ScoredImages` refuses.
    """

    def __init__(
        self,
        labels: ArrayLike,
        scores: ArrayLike,
        window_of: NDArray[np.integer[Any]],
        step: int,
        *,
        threshold: float = THRESHOLD,
    ) -> None:
        self.step = step
        self._images = ScoredImages(labels, scores)
        self._window_of = window_of
        self._threshold = threshold
        self._known: dict[range, tuple[TieGroups, PeriodResult]] = {}

    def results(
        self, n_windows: int, *, paper_compatible: bool = False, periods: Iterable[Period] = Period
    ) -> dict[Period, PeriodResult]:
        """The scores on ``periods`` of a timeline of ``n_windows``, beyond which no image counts.

        Periods that cover the same windows are computed once, for any number of calls.
        ``paper_compatible``: see :mod:`~protocols.periods`.
        """

        def covered(period: Period) -> range:
            return window_range(period, self.step, n_windows, paper_compatible=paper_compatible)

        results = {period: self._over(covered(period))[1] for period in periods}
        if Period.NEXT in results:
            past = self._past_threshold(covered(Period.NEXT), covered(Period.PAST))
            results[Period.NEXT] = replace(results[Period.NEXT], past=past)
        return results

    def units(self, unit_of: NDArray[np.integer[Any]], n_units: int) -> list[UnitResult]:
        """The scores on each of ``n_units`` generators; ``unit_of`` [n] is an image's, or -1."""
        return [
            UnitResult(measure(groups, self._threshold), delong_variance(groups))
            for groups in self._images.parts(unit_of, n_units)
        ]

    def groups(self, windows: range) -> TieGroups:
        """The sorted images of ``windows``."""
        return self._over(windows)[0]

    def _over(self, windows: range) -> tuple[TieGroups, PeriodResult]:
        if windows not in self._known:
            chosen = (self._window_of >= windows.start) & (self._window_of < windows.stop)
            groups = self._images.groups(chosen)
            result = PeriodResult(measure(groups, self._threshold), delong_of(groups))
            self._known[windows] = groups, result
        return self._known[windows]

    def _past_threshold(self, upcoming: range, past: range) -> PastThreshold | None:
        best = self._over(past)[1].metrics.best_threshold
        if best is None or not len(self.groups(upcoming).values):
            return None
        counts = count(self.groups(upcoming), best)
        return PastThreshold(best, counts.balanced_accuracy, counts.tnr, counts.recall)


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
    """The checkpoint after window ``step`` on every period; see :class:`Checkpoint`."""
    checkpoint = Checkpoint(labels, scores, window_of, step, threshold=threshold)
    return checkpoint.results(n_windows, paper_compatible=paper_compatible)


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
    past_fractions = PAST_FRACTIONS if period == Period.NEXT else ()
    if len(found) < len(steps):
        return Average(tuple(steps), dict.fromkeys((*FRACTIONS, *past_fractions)), None)
    means = {name: mean([getattr(result.metrics, name) for result in found]) for name in FRACTIONS}
    means |= {name: mean([getattr(result.past, name, None) for result in found]) for name in past_fractions}
    aurocs = [result.auroc for result in found if result.auroc is not None]
    complete = len(aurocs) == len(steps) > 0
    return Average(tuple(steps), means, weighted_mean(aurocs) if complete else None)
