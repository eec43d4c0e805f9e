"""Windows of generators in the order of their release.

Source: Pellegrini et al., "AI-GenBench", arXiv 2504.20865, sliding windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby


@dataclass(frozen=True)
class Timeline:
    """Closed windows are trained on; the open one (maybe empty) is only evaluated on until it fills.

    ``waiting``: generators that are older than the frontier and in no window. Only a timeline
    that is cut anew has a place for them.
    """

    closed: tuple[tuple[str, ...], ...]
    open: tuple[str, ...]
    waiting: tuple[str, ...] = ()


def windows(release_dates: Mapping[str, date], n_per_window: int) -> list[list[str]]:
    """Cut the generators, sorted by release date, into windows of ``n_per_window`` slots.

    Generators of one date take one slot together, so a window can hold more than
    ``n_per_window`` generators; the last may hold fewer. Within a date, names sort.

    Raises ``ValueError`` if ``n_per_window`` is below 1.
    """
    if n_per_window < 1:
        raise ValueError(f"a window needs at least one slot, not {n_per_window}")
    slots = _slots(release_dates)
    return [
        [name for slot in slots[start : start + n_per_window] for name in slot]
        for start in range(0, len(slots), n_per_window)
    ]


def split_closed_open(release_dates: Mapping[str, date], n_per_window: int) -> Timeline:
    """The same windows as a live server sees them: full ones are closed, the remainder is open."""
    parts = [tuple(window) for window in windows(release_dates, n_per_window)]
    n_closed = len(_slots(release_dates)) // n_per_window
    return Timeline(closed=tuple(parts[:n_closed]), open=parts[n_closed] if n_closed < len(parts) else ())


def extend(
    closed: Sequence[Sequence[str]], frontier: date, release_dates: Mapping[str, date], n_per_window: int
) -> Timeline:
    """The timeline ``closed`` with the generators of ``release_dates`` that came since.

    What is newer than ``frontier``, the newest release date of the closed windows, fills the
    open window and those after it; nothing that is closed changes. A generator of the
    frontier's own date would share a slot with a closed one, so it waits like an older one.
    """
    known = {name for window in closed for name in window}
    others = {name: released for name, released in release_dates.items() if name not in known}
    newer = {name: released for name, released in others.items() if released > frontier}
    grown = split_closed_open(newer, n_per_window)
    return Timeline(
        closed=(*(tuple(window) for window in closed), *grown.closed),
        open=grown.open,
        waiting=tuple(sorted(others.keys() - newer.keys(), key=lambda name: (others[name], name))),
    )


def _slots(release_dates: Mapping[str, date]) -> list[list[str]]:
    """The generators of each release date, oldest first."""
    ordered = sorted(release_dates, key=lambda name: (release_dates[name], name))
    return [list(names) for _, names in groupby(ordered, key=release_dates.__getitem__)]
