"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Takes the share done (0 to 1) and what is being done now. Called often, so it must be cheap.
Progress = Callable[[float, str], None]


def part(progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work that goes from ``start`` to ``end`` of the whole."""
    return lambda share, activity: progress(start + (end - start) * share, activity)
