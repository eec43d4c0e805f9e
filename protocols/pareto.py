"""The Pareto front of quality against cost: the detectors that nobody beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """``quality``: higher is better; ``cost``: lower is better; ``None`` = missing."""

    id: str
    quality: float | None
    cost: float | None


def front(candidates: Sequence[Candidate]) -> list[str]:
    """The ids of those that no other beats, by rising cost.

    One beats another if it is at least as good and at most as dear, and better in one of
    the two. Candidates that are equal in both are on the front together, or not at all, in
    the order given. One that lacks a number is not on it and beats nobody.
    """
    known = [(c.cost, -c.quality, c.id) for c in candidates if c.cost is not None and c.quality is not None]
    found: list[tuple[float, float, str]] = []
    for cost, badness, name in sorted(known, key=lambda candidate: candidate[:2]):
        # Of those that cost no more, the last one found is the best.
        if not found or badness < found[-1][1] or (cost, badness) == found[-1][:2]:
            found.append((cost, badness, name))
    return [name for _, _, name in found]
