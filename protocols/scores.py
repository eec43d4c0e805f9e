"""Scored images, sorted once and then read for any number of subsets.

Every threshold metric, AUROC and DeLong's placements need only, for each distinct score,
how many fakes and how many reals have it. Sorting is the costly part, and the periods of
one checkpoint share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class TieGroups:
    """The distinct scores of a set of images, ascending, with their counts.

    ``positions`` [n]: the images in ascending order of score, as indices into all
    ``n_images`` scored images; ``is_fake`` [n]: their labels. ``values``, ``fakes`` and
    ``reals`` [g]: the distinct scores and how many fakes and reals have each.
    """

    n_images: int
    positions: NDArray[np.int64]
    is_fake: NDArray[np.bool_]
    values: NDArray[np.float64]
    fakes: NDArray[np.int64]
    reals: NDArray[np.int64]

    @cached_property
    def n_fakes(self) -> int:
        return int(self.fakes.sum())

    @cached_property
    def n_reals(self) -> int:
        return int(self.reals.sum())

    @cached_property
    def fakes_above(self) -> NDArray[np.int64]:
        """How many fakes score above each distinct score: called fake with it as the threshold."""
        return self.n_fakes - np.cumsum(self.fakes)

    @cached_property
    def reals_above(self) -> NDArray[np.int64]:
        """How many reals score above each distinct score: called fake with it as the threshold."""
        return self.n_reals - np.cumsum(self.reals)

    @cached_property
    def doubled_reals_below(self) -> NDArray[np.int64]:
        """Twice the number of reals below each score, a tie counting one: exact in integers."""
        return 2 * (self.n_reals - self.reals_above) - self.reals

    @cached_property
    def doubled_fakes_above(self) -> NDArray[np.int64]:
        """Twice the number of fakes above each score, a tie counting one: exact in integers."""
        return 2 * self.fakes_above + self.fakes


class ScoredImages:
    """``labels`` [n] (0 real, 1 fake) and ``scores`` [n], kept as float64 and sorted once.

    Raises ``ValueError`` when the shapes differ, a label is neither 0 nor 1, or a score
    is not finite.
    """

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        given = np.asarray(labels)
        values = np.asarray(scores, dtype=np.float64)
        if given.ndim != 1 or given.shape != values.shape:
            raise ValueError(
                f"labels {given.shape} and scores {values.shape} must be two vectors of one length"
            )
        fake = given.astype(bool)
        if not np.array_equal(fake, given):
            raise ValueError("a label is neither 0 (real) nor 1 (fake)")
        if not np.isfinite(values).all():
            raise ValueError("a score is not a finite number")
        self.order: NDArray[np.int64] = np.argsort(values)
        self.sorted_scores: NDArray[np.float64] = values[self.order]
        self.sorted_fake: NDArray[np.bool_] = fake[self.order]

    def groups(self, subset: NDArray[np.bool_] | None = None) -> TieGroups:
        """The tie groups of the images where ``subset`` [n] is true, or of all."""
        if subset is None:
            return self._groups(self.order, self.sorted_scores, self.sorted_fake)
        chosen = subset[self.order]
        return self._groups(self.order[chosen], self.sorted_scores[chosen], self.sorted_fake[chosen])

    def parts(self, part_of: NDArray[np.integer[Any]], n_parts: int) -> list[TieGroups]:
        """The tie groups of each of ``n_parts`` parts; ``part_of`` [n] is an image's part, or -1.

        One pass over the images, whatever the number of parts.
        """
        # The order of the scores is kept within each part, so nothing is sorted by score again;
        # and numbers of two bytes are sorted in linear time.
        small = part_of.astype(np.int16) if n_parts <= np.iinfo(np.int16).max else part_of
        rows = np.argsort(small[self.order], kind="stable")
        sizes = np.bincount(part_of + 1, minlength=n_parts + 1)
        ends = np.cumsum(sizes)
        positions, scores, fake = self.order[rows], self.sorted_scores[rows], self.sorted_fake[rows]
        return [
            self._groups(positions[start:end], scores[start:end], fake[start:end])
            for start, end in pairwise(ends.tolist())
        ]

    def _groups(
        self, positions: NDArray[np.int64], scores: NDArray[np.float64], fake: NDArray[np.bool_]
    ) -> TieGroups:
        # No score is infinite, so the sentinel ends the last group.
        bounded = np.append(scores, np.inf)
        last = np.flatnonzero(bounded[1:] != bounded[:-1])
        fakes = np.diff(np.cumsum(fake, dtype=np.int64)[last], prepend=0)
        reals = np.diff(last, prepend=-1) - fakes
        return TieGroups(len(self.order), positions, fake, scores[last], fakes, reals)
