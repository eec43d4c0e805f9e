"""What is drawn of one checkpoint on one period: ROC curve, scores by class, calibration.

The figures are coarse on purpose, as a score by itself can tell what an image is. Whoever wrote a
detector may have it give an image that they would know again a score like no other; a curve with
every point, or the exact count of a narrow bin, would then tell that image's label. So there are few
points and bins, one image alone is less than half a step of any share, and a bin with too few images
has no share of fakes.
docs/decisions/0012-what-scores-tell.md says what this is worth and what it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from leaderboard.board import Timeline
from leaderboard.models import Prediction
from leaderboard.selectors.predictions import tie_groups, unit_scores
from protocols import curves
from protocols.metrics import THRESHOLD, count, threshold_at
from protocols.periods import Period, window_range
from protocols.scores import TieGroups

# Thresholds, and what metrics tell anyway, have so many decimals.
DECIMALS = 3
# Steps that shares are rounded to: the finest of which this many images are less than one.
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
STEP_IMAGES = 2.5
# A bin of the reliability diagram with fewer images shows none of its numbers.
MIN_IMAGES = 25
# So many sets of figures stay in memory, of a few kB each.
KEPT = 512


@dataclass(frozen=True)
class Point:
    """A point of the ROC curve: the shares of reals and of fakes above a threshold."""

    fpr: float
    tpr: float
    threshold: float | None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold that is of interest, by name, and what it calls fake of the reals and of the fakes."""

    name: str
    threshold: float
    fpr: float
    tpr: float


@dataclass(frozen=True)
class HistogramBin:
    """The share of each class that scores from ``low`` to below ``high``; the last bin holds 1 too."""

    low: float
    high: float
    fakes: float
    reals: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Images that score from ``low`` to below ``high``; ``None`` where there are too few to tell.

    ``share``: of all images. ``mean_score`` and ``share_of_fakes`` are equal where scores are
    probabilities.
    """

    low: float
    high: float
    share: float
    mean_score: float | None
    share_of_fakes: float | None


@dataclass(frozen=True)
class Curves:
    """``window``: the last one trained on. ``points``: operating points, in the order of their threshold."""

    window: int
    period: Period
    n_fakes: int
    n_reals: int
    roc: tuple[Point, ...]
    points: tuple[OperatingPoint, ...]
    histogram: tuple[HistogramBin, ...]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class _Drawn:
    """What is kept of a set of predictions, which never change."""

    n_fakes: int
    n_reals: int
    roc: tuple[Point, ...]
    points: tuple[OperatingPoint, ...]
    histogram: tuple[HistogramBin, ...]
    reliability: tuple[ReliabilityBin, ...]


def checkpoint_curves(
    line: Timeline, state_key: str, window: int, period: Period, *, chosen: float | None
) -> Curves | None:
    """The figures of the state after training on ``window``; ``None`` without a fake and a real.

    ``chosen``: the threshold that was chosen on past windows, which is marked on the period Next. One
    query, and another the first time.
    """
    n_windows = max([line.n_closed, *(w.index + 1 for w in line.windows)])
    if not 0 <= window < n_windows:
        return None
    covered = window_range(period, window, n_windows)
    asked = [g.unit_id for g in line.generators if g.window is not None and g.window in covered]
    # What came later may not be predicted yet, so what is kept is kept for the units that are there.
    there = Prediction.objects.filter(state_key=state_key, unit__in=asked).order_by("unit_id")
    marked = chosen if period == Period.NEXT else None
    drawn = _drawn(state_key, tuple(there.values_list("unit_id", flat=True)), marked)
    if not drawn.n_fakes or not drawn.n_reals:
        return None
    return Curves(
        window,
        period,
        n_fakes=drawn.n_fakes,
        n_reals=drawn.n_reals,
        roc=drawn.roc,
        points=drawn.points,
        histogram=drawn.histogram,
        reliability=drawn.reliability,
    )


@lru_cache(maxsize=KEPT)
def _drawn(state_key: str, unit_ids: tuple[int, ...], chosen: float | None) -> _Drawn:
    groups = tie_groups(unit_scores({state_key: unit_ids}).values())
    # Scores outside [0, 1] are refused when they come in, so every stored set has its bins.
    return _Drawn(
        groups.n_fakes,
        groups.n_reals,
        roc=tuple(
            Point(
                coarse(p.fpr, groups.n_reals),
                coarse(p.tpr, groups.n_fakes),
                None if p.threshold is None else _round(p.threshold),
            )
            for p in curves.roc(groups)
        ),
        points=_operating_points(groups, chosen),
        histogram=tuple(
            HistogramBin(b.low, b.high, _coarse(b.fakes, groups.n_fakes), _coarse(b.reals, groups.n_reals))
            for b in curves.histogram(groups)
        ),
        reliability=tuple(_reliability_bin(b, groups) for b in curves.reliability(groups)),
    )


def _operating_points(groups: TieGroups, chosen: float | None) -> tuple[OperatingPoint, ...]:
    if not groups.n_fakes or not groups.n_reals:
        return ()
    thresholds = {
        "0.5": THRESHOLD,
        "past": chosen,
        "1 % FPR": threshold_at(groups, 1),
        "5 % FPR": threshold_at(groups, 5),
    }
    return tuple(
        OperatingPoint(
            name,
            _round(threshold),
            fpr=_round(counts.fp / groups.n_reals),
            tpr=_round(counts.tp / groups.n_fakes),
        )
        for name, threshold in sorted(
            ((name, value) for name, value in thresholds.items() if value is not None),
            key=lambda named: named[1],
        )
        for counts in [count(groups, threshold)]
    )


def _reliability_bin(found: curves.ReliabilityBin, groups: TieGroups) -> ReliabilityBin:
    share = _coarse(found.n, groups.n_fakes + groups.n_reals)
    if found.n < MIN_IMAGES or found.mean_score is None or found.share_of_fakes is None:
        return ReliabilityBin(found.low, found.high, share, None, None)
    return ReliabilityBin(
        found.low, found.high, share, _round(found.mean_score), coarse(found.share_of_fakes, found.n)
    )


def coarse(share: float, n: int) -> float:
    """A share of ``n`` images, so rounded that one of them alone would be none."""
    step = next((step for step in STEPS if step * n >= STEP_IMAGES), STEPS[-1])
    return _round(round(share / step) * step)


def _coarse(n: int, of: int) -> float:
    return coarse(n / of, of) if of else 0.0


def published_threshold(value: float) -> float:
    """A threshold as it may be told: it lies between two scores, and in full it would name them."""
    return _round(value)


def _round(value: float) -> float:
    return round(value, DECIMALS)
