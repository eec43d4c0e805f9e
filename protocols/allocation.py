"""Which images a window trains on: all its fakes and the same number of reals, each real used once.

Source: the official Ai-GenBench data module (commit 2332e50); the draws are the same to
the last index. They come from a local generator, so no other code can disturb them.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Literal, TypeVar

from protocols.errors import DataError

TRAINING_SEED = 1337

TrainingMode = Literal["cumulative", "continual"]
# A row number in the official split, an image's content hash on a server: anything that sorts.
Real = TypeVar("Real", int, str)


def sample_reals(available: Collection[Real], n: int, window: int, seed: int = TRAINING_SEED) -> list[Real]:
    """Draw the reals of one window from those that no earlier window has used.

    ``random.sample(sorted(available), n)`` under seed ``seed + window``: the draw depends
    on the set of available reals, not on its order.

    Raises :class:`DataError` ``not_enough_reals`` naming the window and how many are missing.
    """
    if n > len(available):
        raise DataError(
            "not_enough_reals",
            f"Window {window} has {n} generated training images but only {len(available)} unused real ones: "
            f"{n - len(available)} are missing.",
        )
    # A protocol's draw must be repeatable; nothing secret depends on it.
    return random.Random(seed + window).sample(sorted(available), n)  # noqa: S311


def training_rows(
    generators: Sequence[str],
    windows: Sequence[Sequence[str]],
    mode: TrainingMode,
    seed: int = TRAINING_SEED,
) -> list[list[int]]:
    """The rows of a training split that each window trains on, in the official order.

    ``generators`` names the generator of every row ("" for a real). A window's own list
    is its reals in drawing order, then its fakes in row order. ``continual`` gives each
    window its own list; ``cumulative`` its own list followed by that of the window before.

    Raises :class:`DataError` ``not_enough_reals``.
    """
    unused = {row for row, generator in enumerate(generators) if not generator}
    result: list[list[int]] = []
    for index, window in enumerate(windows):
        members = set(window)
        fakes = [row for row, generator in enumerate(generators) if generator in members]
        reals = sample_reals(unused, len(fakes), index, seed)
        unused.difference_update(reals)
        earlier = result[-1] if mode == "cumulative" and result else []
        result.append(reals + fakes + earlier)
    return result
