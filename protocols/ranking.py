"""Ranks on a leaderboard: shared where a test tells nobody apart, with the interval of ranks left open."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from protocols.delong import Auroc, paired_test

# How often any two of all that are ranked are told apart that are in truth alike, at the most.
LEVEL = 0.05


@dataclass(frozen=True)
class Entry:
    """``value`` (higher is better) with its interval; ``None`` = missing."""

    id: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ranked:
    """``rank``: 1 + how many entries are ranked before those that share it (1, 1, 3).

    ``best``..``worst``: the ranks that the data leave open, ``rank`` among them. All
    ``None`` for an entry without a value, which is listed but not ranked and counts for
    nobody's rank.
    """

    id: str
    rank: int | None
    best: int | None
    worst: int | None


def rank(entries: Sequence[Entry]) -> list[Ranked]:
    """Rank ``entries`` by value; equal values share a rank. The answer is in their order.

    ``best`` is 1 + the number of entries whose interval lies wholly above this one's,
    ``worst`` the number ranked less those whose interval lies wholly below. Intervals
    that touch overlap. An entry without an interval is apart from nobody.
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


def shared_ranks(
    entries: Sequence[Entry], differ: Callable[[str, str], bool], *, untested: Collection[str] = ()
) -> list[Ranked]:
    """Rank ``entries`` so that those which ``differ`` can't tell apart share a rank; in their order.

    From the highest value down: the first leads rank 1. The next is tested against the
    leader; if they can't be told apart it shares the leader's rank, else it leads a rank of
    its own, 1 + the number of entries before it. So everybody who shares a rank was
    compared with its best. Equal values always share, with the leader if any of them can't
    be told apart from it; the first given of them leads.

    ``differ(leader, entry)`` gets two ids, at most one call an entry, in the order of the
    values; :func:`tells_apart` is what a board of AUROCs asks. ``untested`` are ids for
    which there is nothing to test with: they are apart from nobody, so they share the rank
    of the leader before them, and never lead.

    ``best`` and ``worst`` are those of :func:`rank`, widened to all the places of those
    who share the rank.
    """
    by_value = sorted((e for e in entries if e.value is not None), key=lambda e: -(e.value or 0.0))
    rank_of: dict[str, int] = {}
    last_place: dict[int, int] = {}
    leader, current, place = None, 1, 1
    for _, group in groupby(by_value, key=lambda entry: entry.value):
        members = [entry.id for entry in group]
        testable = [member for member in members if member not in untested]
        if testable and leader is None:
            leader = testable[0]
        elif testable and all(differ(leader, member) for member in testable if leader is not None):
            leader, current = testable[0], place
        rank_of |= dict.fromkeys(members, current)
        place += len(members)
        last_place[current] = place - 1

    def widened(ranked: Ranked) -> Ranked:
        if ranked.best is None or ranked.worst is None:
            return ranked
        shared = rank_of[ranked.id]
        best, worst = min(ranked.best, shared), max(ranked.worst, last_place[shared])
        return replace(ranked, rank=shared, best=best, worst=worst)

    return [widened(ranked) for ranked in rank(entries)]


def pair_level(n_ranked: int) -> float:
    """The level of one test so that all pairs of ``n_ranked`` entries keep to :data:`LEVEL` together.

    Bonferroni's, over all n (n - 1) / 2 pairs: which of them are tested depends on the
    data, and it holds whichever are.
    """
    return LEVEL / max(n_ranked * (n_ranked - 1) // 2, 1)


def tells_apart(first: Auroc, second: Auroc, n_ranked: int) -> bool:
    """Whether the paired test tells two of ``n_ranked`` detectors apart that were scored on the same images.

    Raises ``ValueError`` where :func:`~protocols.delong.paired_test` does.
    """
    test = paired_test(first, second)
    return test is not None and test.p_value < pair_level(n_ranked)
