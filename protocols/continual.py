"""What a detector keeps and carries over: forgetting, backward and forward transfer.

All read the matrix R: R[k][j] is the score (AUROC, higher is better) on window j after
training on window k, 0-based. With K trained windows the first K rows and columns count;
further columns (an open window) are ignored, and so are those in ``without``: windows that
were trained on and that nothing is scored on any more, as their generators were withdrawn.
``None`` stands for a score that is missing or undefined; a measure that needs one is itself
``None``, as is one that averages nothing (K < 2).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from protocols.metrics import mean

Matrix = Sequence[Sequence[float | None]]
Unit = TypeVar("Unit", bound=Hashable)


@dataclass(frozen=True)
class Transfer:
    """The three measures, over each window's mean AUROC."""

    forgetting: float | None
    backward: float | None
    forward: float | None


# The AUROC of a detector that has learnt nothing.
CHANCE = 0.5


def window_matrix(
    aurocs: Mapping[tuple[int, Unit], float | None], windows: Sequence[Sequence[Unit]]
) -> list[list[float | None]]:
    """R of the closed ``windows``, each a list of units (one a generator), from (k, unit) -> AUROC.

    A window's score is the mean over its generators, and ``None`` if that of one is missing.
    """
    return [
        [mean([aurocs.get((k, unit)) for unit in window]) for window in windows] for k in range(len(windows))
    ]


def forgetting(R: Matrix, *, without: Collection[int] = ()) -> float | None:
    """Mean over j < K-1 of max{R[l][j] : l < K-1} - R[K-1][j]. Positive = forgot.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, eq. 3-4.
    """
    if len(R) < 2:
        return None
    *earlier, last = R
    columns = [j for j in range(len(earlier)) if j not in without]
    return mean([_difference(_best([row[j] for row in earlier]), last[j]) for j in columns])


def backward_transfer(R: Matrix, *, without: Collection[int] = ()) -> float | None:
    """Mean over j < K-1 of R[K-1][j] - R[j][j]. Negative = later training hurt earlier windows.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017, eq. 3.
    """
    return mean([_difference(R[-1][j], R[j][j]) for j in range(len(R) - 1) if j not in without])


def forward_transfer(R: Matrix, chance: float = CHANCE, *, without: Collection[int] = ()) -> float | None:
    """Mean over 0 < j < K of R[j-1][j] - b. Positive = better than chance on the next window.

    Source: Lopez-Paz and Ranzato 2017, eq. 4. Their b[j] is the score of the untrained
    model; here it is ``chance``, which for an AUROC is ½ whatever the model.
    """
    return mean([_difference(R[j - 1][j], chance) for j in range(1, len(R)) if j not in without])


def transfer(aurocs: Mapping[tuple[int, Unit], float | None], windows: Sequence[Sequence[Unit]]) -> Transfer:
    """All three measures of the closed ``windows``, each a list of units, from (k, unit) -> AUROC."""
    R = window_matrix(aurocs, windows)
    without = {j for j, window in enumerate(windows) if not window}
    return Transfer(
        forgetting(R, without=without),
        backward_transfer(R, without=without),
        forward_transfer(R, without=without),
    )


def _best(column: Sequence[float | None]) -> float | None:
    known = [value for value in column if value is not None]
    return max(known) if len(known) == len(column) else None


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
