"""The averages over time of a whole run, with both of their intervals, from its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.delong import Interval
from protocols.evaluation import Average, Checkpoint, average_over_time
from protocols.periods import Period, averaged_steps, window_range
from protocols.spread import Redraws, count_pairs


@dataclass(frozen=True)
class RunAverage:
    """One period: the average over the forecasts, that over all windows, and the interval over generators.

    The interval over images is the average's own. ``generators`` is of the forecasts.
    """

    forecasts: Average
    paper_compatible: Average
    generators: Interval | None


def averages(
    checkpoints: Sequence[Checkpoint],
    unit_of: NDArray[np.int64],
    window_of_unit: Sequence[int],
    n_windows: int,
    periods: Iterable[Period] = Period,
) -> dict[Period, RunAverage]:
    """The averages over time of ``periods``.

    ``checkpoints``: of one run, on the same images in the same order. ``unit_of`` [n]: the
    generator of each image, for a real its partner's; ``window_of_unit`` [u]: the window of
    each, -1 for one that counts in none, as the checkpoints have it for each image.
    """
    asked = tuple(periods)
    # The steps of the headline are scored alike with and without the fall-back of the last one.
    results = {
        checkpoint.step: checkpoint.results(n_windows, paper_compatible=True, periods=asked)
        for checkpoint in checkpoints
    }
    redraws = Redraws(window_of_unit, n_windows)
    widest = Period.ALL if Period.ALL in asked else Period.WHOLE
    steps = averaged_steps(widest, n_windows)
    pairs = {
        checkpoint.step: count_pairs(
            checkpoint.groups(window_range(widest, checkpoint.step, n_windows)), unit_of, len(window_of_unit)
        )
        for checkpoint in checkpoints
        if checkpoint.step in steps
    }
    return {
        period: RunAverage(
            average_over_time(results, period, n_windows),
            average_over_time(results, period, n_windows, paper_compatible=True),
            redraws.interval(pairs, period),
        )
        for period in asked
    }
