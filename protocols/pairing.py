"""Balancing the evaluation split and pairing every real with one generated image.

A real counts in the periods that its partner's generator counts in, so every period has
as many reals as fakes. Source: the official Ai-GenBench data module (commit 2332e50),
"validate" stage; where that code runs, the result here is the same.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from protocols.errors import DataError

PAIRING_SEED = 1337

Image = TypeVar("Image", int, str)


@dataclass(frozen=True)
class EvaluationPlan:
    """Row numbers of an evaluation split.

    ``order``: the rows that balancing kept, in evaluation order. ``pairs``: (real row,
    fake row), in the evaluation order of the fakes; no row is in two pairs.
    ``generators`` names the generator of every row of the split ("" for a real).
    """

    order: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    generators: tuple[str, ...]

    @cached_property
    def real_to_generator(self) -> Mapping[int, str]:
        """The generator with which each kept real counts, by the real's row."""
        return {real: self.generators[fake] for real, fake in self.pairs}


def pair(generators: Sequence[str], seed: int = PAIRING_SEED) -> EvaluationPlan:
    """Balance, permute and pair an evaluation split with generator names ``generators`` ("" = real).

    1. Balance: surplus reals are dropped by ``random.sample`` (seed + 1), surplus fakes
       by a draw stratified by generator (seed + 1). Equal numbers, which make the
       official code fail, need no draw.
    2. Order: ``numpy.random.default_rng(seed + 3)`` permutes [kept reals, kept fakes].
    3. Pair: ``random.shuffle`` (seed + 4) of the reals, matched with the fakes in order.

    A split without reals or without fakes has an empty plan.
    """
    reals = [row for row, generator in enumerate(generators) if not generator]
    fakes = [row for row, generator in enumerate(generators) if generator]
    if len(reals) > len(fakes):
        reals = random.Random(seed + 1).sample(reals, len(fakes))  # noqa: S311 - a repeatable draw
    elif len(fakes) > len(reals):
        names = [generators[row] for row in fakes]
        fakes = [fakes[i] for i in stratified_sample(names, len(reals), seed + 1)]
    kept = np.array(reals + fakes, dtype=np.int64)
    order = kept[np.random.default_rng(seed + 3).permutation(len(kept))].tolist()
    shuffled = [row for row in order if not generators[row]]
    random.Random(seed + 4).shuffle(shuffled)  # noqa: S311 - a repeatable draw
    partners = [row for row in order if generators[row]]
    return EvaluationPlan(tuple(order), tuple(zip(shuffled, partners, strict=True)), tuple(generators))


def pair_newcomer(
    generator: str, fakes: Collection[Image], unpaired_reals: Collection[Image], seed: int = PAIRING_SEED
) -> list[tuple[Image, Image]]:
    """Pair the images of a generator that arrives later: (real, fake), in the sort order of the fakes.

    Reals are drawn only from ``unpaired_reals``, so no earlier pair changes. The draw is
    seeded by ``seed`` and the generator's name and depends on which images there are,
    not on their order.

    Raises :class:`DataError` ``not_enough_reals`` naming the generator and how many are missing.
    """
    if len(fakes) > len(unpaired_reals):
        raise DataError(
            "not_enough_reals",
            f"{generator} has {len(fakes)} evaluation images but only {len(unpaired_reals)} unpaired real "
            f"ones are left: {len(fakes) - len(unpaired_reals)} are missing.",
        )
    draw = random.Random(f"{seed}/{generator}")  # noqa: S311 - a repeatable draw
    return list(zip(draw.sample(sorted(unpaired_reals), len(fakes)), sorted(fakes), strict=True))


def stratified_sample(strata: Sequence[str], n: int, seed: int) -> list[int]:
    """Draw ``n`` of the indices of ``strata``, in random order, from every stratum in proportion.

    Equal to the training part of scikit-learn's ``train_test_split(range(len(strata)),
    train_size=n, stratify=strata, random_state=seed)`` wherever that is defined; it
    also works where that is not (a stratum of one image, fewer draws than strata). The
    allocation is by largest remainder. The other side of the split is allocated too, though
    nobody reads it: where rounding leaves it something to draw, the draw advances the
    random state that the sample comes from.

    ``strata`` must have more than ``n`` entries.
    """
    _, stratum, sizes = np.unique(np.asarray(strata), return_inverse=True, return_counts=True)
    # The legacy generator is what scikit-learn seeds with an integer.
    state = np.random.RandomState(seed)
    taken = _largest_remainder(sizes, n, state)
    _largest_remainder(sizes - taken, len(strata) - n, state)
    drawn: list[int] = []
    for index, (size, count) in enumerate(zip(sizes, taken, strict=True)):
        members = np.flatnonzero(stratum == index)
        drawn.extend(members[state.permutation(size)][:count].tolist())
    return [int(i) for i in state.permutation(drawn)]


def _largest_remainder(sizes: NDArray[np.int64], n: int, state: np.random.RandomState) -> NDArray[np.int64]:
    """Allocate ``n`` draws to strata of these sizes; equal remainders are settled by ``state``."""
    quota = sizes / sizes.sum() * n
    allocation = np.floor(quota)
    remainder = quota - allocation
    left = int(n - allocation.sum())
    for value in np.unique(remainder)[::-1]:
        if left == 0:
            break
        tied = np.flatnonzero(remainder == value)
        lucky = state.choice(tied, size=min(left, len(tied)), replace=False)
        allocation[lucky] += 1
        left -= len(lucky)
    return np.asarray(allocation, dtype=np.int64)
