"""Invented detectors on invented generators: which scores their images get.

The shape is that of Ai-GenBench: nine windows of four generators. A generator's unit has few images, so
that ten thousand detectors fit a small machine. A detector's scores on a unit are one of the *items*
of a library: for each of 51 distances between fakes and reals, 64 draws of the scores of a unit's
images. What is measured of an item is measured once, and every number that stems from it is as exact
as if each detector had scores of its own; two detectors share a unit's scores only by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.services.scores import metric_columns
from protocols.delong import delong_of
from protocols.metrics import measure
from protocols.scores import ScoredImages

N_WINDOWS, PER_WINDOW = 9, 4
N_UNITS = N_WINDOWS * PER_WINDOW
# Images of each class in a unit.
N_IMAGES = 50
# Distances are in standard deviations of the score before it is squeezed into (0, 1).
STEP, N_LEVELS, N_VARIANTS = 0.1, 51, 64

Items = NDArray[np.int64]

# The window of each unit, and the label, the unit and the window of each image: fakes before reals.
WINDOW_OF_UNIT = np.repeat(np.arange(N_WINDOWS), PER_WINDOW)
LABELS_OF_UNIT = np.repeat([1, 0], N_IMAGES)
LABELS = np.tile(LABELS_OF_UNIT, N_UNITS)
UNIT_OF = np.repeat(np.arange(N_UNITS), 2 * N_IMAGES)
WINDOW_OF = WINDOW_OF_UNIT[UNIT_OF]


class Library:
    """The items: ``scores`` [items, images] in (0, 1), and the metrics of each as columns by name."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        distance = np.repeat(np.arange(N_LEVELS) * STEP, N_VARIANTS)[:, None]
        places = distance * (LABELS_OF_UNIT - 0.5) + random.normal(size=(len(distance), 2 * N_IMAGES))
        self.scores: NDArray[np.float64] = 1 / (1 + np.exp(-places))

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        return [_measured(scores) for scores in self.scores]


def _measured(scores: NDArray[np.float64]) -> dict[str, Any]:
    groups = ScoredImages(LABELS_OF_UNIT, scores).groups()
    estimate = delong_of(groups)
    return metric_columns(measure(groups)) | {"roc_auc_variance": estimate.variance if estimate else None}


@dataclass(frozen=True)
class Traits:
    """A detector: how far it tells fakes from reals on what it was trained on and on what is new.

    ``loss``: what it forgets a window. ``taste`` [units]: what suits it. ``container_s``: seconds of
    its first training step.
    """

    is_trained: bool
    seen: float
    new: float
    loss: float
    taste: NDArray[np.float64]
    n_seeds: int
    container_s: float

    @classmethod
    def drawn(cls, seed: int, number: int) -> Traits:
        random = np.random.default_rng([seed, 2, number])
        new = random.normal(1.2, 0.6)
        return cls(
            is_trained=random.random() < 0.92,
            seen=new + abs(random.normal(1.4, 0.5)),
            new=new,
            loss=abs(random.normal(0, 0.08)),
            taste=random.normal(0, 0.35, N_UNITS),
            n_seeds=int(random.choice([1, 2, 3], p=[0.8, 0.13, 0.07])),
            container_s=float(10 ** random.normal(2.2, 0.5)),
        )

    def items(self, seed: int, number: int, run: int) -> Items:
        """Which item each unit is scored with after each window [windows, units], by one of its runs."""
        random = np.random.default_rng([seed, 3, number, run])
        hardness = np.random.default_rng([seed, 4]).normal(0, 0.5, N_UNITS)
        window = np.arange(N_WINDOWS)[:, None]
        ahead = WINDOW_OF_UNIT - window
        new = self.new + hardness + self.taste + random.normal(0, 0.1)
        if self.is_trained:
            met = self.seen + 0.3 * hardness + self.loss * ahead
            distance = np.where(ahead <= 0, met, new - 0.15 * (ahead - 1) + 0.03 * window)
        else:
            distance = np.broadcast_to(new, (N_WINDOWS, N_UNITS))
        levels = np.clip(np.rint(distance / STEP), 0, N_LEVELS - 1).astype(np.int64)
        # Without training there is one state, and it has one score for an image.
        variants = random.integers(N_VARIANTS, size=(N_WINDOWS if self.is_trained else 1, N_UNITS))
        items: Items = levels * N_VARIANTS + variants
        return items
