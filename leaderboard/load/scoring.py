"""What a run is worth whose images have these scores: by the protocol's own functions, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leaderboard.load.simulation import (
    LABELS,
    N_UNITS,
    N_WINDOWS,
    PER_WINDOW,
    UNIT_OF,
    WINDOW_OF,
    WINDOW_OF_UNIT,
    Items,
    Library,
)
from protocols.averages import RunAverage, averages
from protocols.continual import Transfer, transfer
from protocols.evaluation import Checkpoint, PeriodResult
from protocols.influence import pack
from protocols.periods import Period

PERIODS = (Period.NEXT, Period.PAST, Period.WHOLE)
WINDOWS = [list(range(start, start + PER_WINDOW)) for start in range(0, N_UNITS, PER_WINDOW)]
# The units of the headline: the first window is nobody's next one.
FORECAST = WINDOW_OF > 0


@dataclass(frozen=True)
class RunResult:
    """``periods`` by window and period. ``influence``: float32 of every image of the units after the
    first window; ``n_pairs`` as in ``RunInfluence``."""

    periods: Mapping[tuple[int, Period], PeriodResult]
    averages: Mapping[Period, RunAverage]
    transfer: Transfer
    influence: bytes
    n_pairs: int


def score(library: Library, items: Items) -> RunResult:
    """The scores of a run from its ``items`` [windows, units]."""
    checkpoints = [
        Checkpoint(LABELS, library.scores[items[window]].ravel(), WINDOW_OF, window)
        for window in range(N_WINDOWS)
    ]
    found = averages(checkpoints, UNIT_OF, WINDOW_OF_UNIT.tolist(), N_WINDOWS, PERIODS)
    headline = found[Period.NEXT].forecasts.auroc
    assert headline is not None, "every unit has fakes and reals"
    rows = items.tolist()
    aurocs = {
        (window, unit): library.metrics[rows[window][unit]]["roc_auc"]
        for window in range(N_WINDOWS)
        for unit in range(N_UNITS)
    }
    return RunResult(
        periods={
            (checkpoint.step, period): result
            for checkpoint in checkpoints
            for period, result in checkpoint.results(N_WINDOWS, periods=PERIODS).items()
            if result.metrics.n_fake_images
        },
        averages=found,
        transfer=transfer(aurocs, WINDOWS),
        influence=pack(headline, FORECAST),
        n_pairs=headline.n_pairs,
    )
