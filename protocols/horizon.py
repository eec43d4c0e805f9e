"""The horizon: how a detector ages. AUROC against the months between what it has learnt from and
what it meets.

Every checkpoint is scored on every evaluated generator. A checkpoint's frontier is the
newest release date among the generators it was trained on; its lag to a generator is

    (release date - frontier) in days / 30.4375

months (a twelfth of a year of 365.25 days). Where the lag is 0 or less, the generator is
as old as what the checkpoint knows; the curve and the shelf life are over lags above 0.

The curve is the isotonic regression of the AUROC on the lag: of all curves that never
rise, the one with the least squared error, every point counting alike. It is a step
function: a value holds from its lag to the next step. That a detector only gets worse
with time is an assumption, and the points are shown beside the curve. Source: Barlow,
Bartholomew, Bremner and Brunk, "Statistical Inference under Order Restrictions", 1972.

Its 95 % intervals are over generators: whole generators are drawn again with
replacement (points that share one are not independent), and the percentiles are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

DAYS_PER_MONTH = 30.4375
# A detector whose AUROC is below this is past its shelf life.
THRESHOLD = 0.9

N_DRAWS = 400
SEED = 1337
LEVEL = 0.95

Floats = NDArray[np.float64]


def months_between(frontier: date, released: date) -> float:
    """The lag in months; negative for what was released before the frontier."""
    return (released - frontier).days / DAYS_PER_MONTH


@dataclass(frozen=True)
class Point:
    """The AUROC of the checkpoint after window ``checkpoint`` on a generator ``lag_months`` later."""

    lag_months: float
    auroc: float
    checkpoint: int
    generator: str

    @property
    def is_ahead(self) -> bool:
        """Whether the generator is newer than all that the checkpoint was trained on."""
        return self.lag_months > 0


@dataclass(frozen=True)
class Level:
    """A step of the curve: it has ``value`` from ``start_months`` on, through ``end_months``.

    Both are lags of points. ``low`` and ``high`` bound the value; they are ``None`` where
    the curve rests on fewer than two generators.
    """

    start_months: float
    end_months: float
    value: float
    low: float | None
    high: float | None
    n_points: int
    n_generators: int


class Outcome(StrEnum):
    """How a curve ends."""

    FELL = "fell"
    BELOW_FROM_START = "below_from_start"
    HELD = "held"
    NO_DATA = "no_data"


@dataclass(frozen=True)
class ShelfLife:
    """The month at which the curve falls below the threshold.

    ``months`` is the first lag at which the curve is below it: 0 when it is below from the
    start, ``None`` when it held (it is then censored at ``observed_months``, the longest
    lag) or when there is no point ahead. ``held_months`` is the last lag at which it
    still held: the fall was somewhere between the two.
    """

    outcome: Outcome
    months: float | None
    held_months: float | None
    observed_months: float | None


@dataclass(frozen=True)
class Horizon:
    """``points`` by lag, those behind the frontier too; ``curve`` and ``shelf_life`` of those ahead."""

    points: tuple[Point, ...]
    curve: tuple[Level, ...]
    shelf_life: ShelfLife


def horizon(points: Sequence[Point]) -> Horizon:
    """The curve and the shelf life of a detector's points, which may come in any order."""
    ordered = sorted(points, key=lambda point: (point.lag_months, point.checkpoint, point.generator))
    ahead = [point for point in ordered if point.is_ahead]
    levels = _curve(ahead)
    return Horizon(tuple(ordered), levels, shelf_life(levels))


def shelf_life(curve: Sequence[Level], threshold: float = THRESHOLD) -> ShelfLife:
    """Where a curve that never rises falls below ``threshold``."""
    if not curve:
        return ShelfLife(Outcome.NO_DATA, None, None, None)
    observed = curve[-1].end_months
    held = [level for level in curve if level.value >= threshold]
    if not held:
        return ShelfLife(Outcome.BELOW_FROM_START, 0.0, None, observed)
    if len(held) == len(curve):
        return ShelfLife(Outcome.HELD, None, observed, observed)
    return ShelfLife(Outcome.FELL, curve[len(held)].start_months, held[-1].end_months, observed)


def _curve(ahead: Sequence[Point]) -> tuple[Level, ...]:
    """The levels of the isotonic regression over points that are sorted by lag."""
    if not ahead:
        return ()
    lags = np.array([point.lag_months for point in ahead])
    aurocs = np.array([point.auroc for point in ahead])
    names = [point.generator for point in ahead]
    at, fitted = _fit(lags, aurocs, np.ones(len(ahead)))
    # Neighbouring lags with one fitted value are one level.
    first = np.flatnonzero(np.append(True, fitted[1:] < fitted[:-1]))
    last = np.append(first[1:] - 1, len(at) - 1)
    bounds = _intervals(lags, aurocs, names, (at[first] + at[last]) / 2)
    levels = []
    for number, (i, j) in enumerate(zip(first, last, strict=True)):
        inside = np.flatnonzero((lags >= at[i]) & (lags <= at[j]))
        low, high = bounds[number] if bounds is not None else (None, None)
        levels.append(
            Level(
                start_months=float(at[i]),
                end_months=float(at[j]),
                value=float(fitted[i]),
                low=low,
                high=high,
                n_points=len(inside),
                n_generators=len({names[k] for k in inside}),
            )
        )
    return tuple(levels)


def _fit(lags: Floats, aurocs: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The distinct lags and the fitted values there. Points of one lag share their weighted mean."""
    at, group = np.unique(lags, return_inverse=True)
    total = np.bincount(group, weights)
    means = np.bincount(group, weights * aurocs) / total
    fitted: Floats = isotonic_regression(means, weights=total, increasing=False).x
    return at, fitted


def _intervals(
    lags: Floats, aurocs: Floats, names: Sequence[str], places: Floats
) -> list[tuple[float, float]] | None:
    """The interval of the curve at each of ``places``, over generators; ``None`` for fewer than two."""
    generators, owner = np.unique(np.array(names), return_inverse=True)
    n = len(generators)
    if n < 2:
        return None
    counts = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=N_DRAWS)
    curves = np.empty((N_DRAWS, len(places)))
    for draw, count in enumerate(counts):
        weights = count[owner].astype(np.float64)
        drawn = weights > 0
        at, fitted = _fit(lags[drawn], aurocs[drawn], weights[drawn])
        # Before its first lag a drawn curve has its first value.
        curves[draw] = fitted[np.maximum(np.searchsorted(at, places, side="right") - 1, 0)]
    lows, highs = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
