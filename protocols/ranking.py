"""Ranks on a leaderboard: a shared rank by value, and the interval of ranks that the data allow."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """``value`` (higher is better) with its interval; ``None`` = missing."""

    id: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ranked:
    """``rank``: 1 + how many values are higher; equal values share it (1, 1, 3).

    ``best``..``worst``: the ranks that the intervals leave open. All ``None`` for an
    entry without a value, which is listed but not ranked and counts for nobody's rank.
    """

    id: str
    rank: int | None
    best: int | None
    worst: int | None


def rank(entries: Sequence[Entry]) -> list[Ranked]:
    """Rank ``entries``; the answer is in their order.

    ``best`` is 1 + the number of entries whose interval lies wholly above this one's,
    ``worst`` the number ranked less those whose interval lies wholly below. Intervals
    that touch overlap. An entry without an interval is apart from nobody.

    Disjoint 95 % intervals are stricter than a paired test at 5 %, so a rank interval is
    never too narrow on that account.
    """
    values = sorted(entry.value for entry in entries if entry.value is not None)
    bounded = [e for e in entries if e.value is not None and e.low is not None and e.high is not None]
    lows = sorted(e.low for e in bounded if e.low is not None)
    highs = sorted(e.high for e in bounded if e.high is not None)

    def ranked(entry: Entry) -> Ranked:
        if entry.value is None:
            return Ranked(entry.id, None, None, None)
        place = 1 + len(values) - bisect_right(values, entry.value)
        if entry.low is None or entry.high is None:
            return Ranked(entry.id, place, 1, len(values))
        n_above = len(lows) - bisect_right(lows, entry.high)
        n_below = bisect_left(highs, entry.low)
        return Ranked(entry.id, place, 1 + n_above, len(values) - n_below)

    return [ranked(entry) for entry in entries]
