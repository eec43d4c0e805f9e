"""What every image adds to a detector's headline, kept in four bytes an image for paired tests.

The contributions of :mod:`~protocols.delong` are all that a paired test needs, whatever the
average is made of. Float32 keeps seven digits of each, far more than a test can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.delong import Auroc, weighted_mean


def pack(estimate: Auroc, images: NDArray[np.bool_]) -> bytes:
    """The contributions of ``images`` [n] as little-endian float32; the others must owe nothing."""
    return estimate.contributions[images].astype("<f4").tobytes()


def unpack(value: float, contributions: bytes, n_pairs: int) -> Auroc:
    """The estimate that :func:`pack` kept, with float32 contributions."""
    return Auroc(value, np.frombuffer(contributions, dtype="<f4"), n_pairs)


@dataclass(frozen=True)
class Seeds:
    """Several runs of one detector: ``mean`` is what is ranked, ``low``..``high`` their spread."""

    mean: Auroc
    low: float
    high: float
    n: int


def over_seeds(runs: Sequence[Auroc]) -> Seeds:
    """The runs of one detector that differ in their seed, all scored on the same images.

    The mean's interval is over images, for these very runs: it does not say how another
    seed would do. That is what the spread is for, which a single run does not have.

    Raises ``ValueError`` without a run.
    """
    mean = weighted_mean(runs)
    return Seeds(mean, min(run.value for run in runs), max(run.value for run in runs), len(runs))
