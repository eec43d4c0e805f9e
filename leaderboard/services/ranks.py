"""The ranks of a board: shared by detectors that a paired test on the same images can't tell apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.models import RunInfluence
from protocols import ranking
from protocols.delong import Auroc
from protocols.influence import over_seeds, unpack
from protocols.periods import Period

# So many detectors' vectors are read at once: at full size one has 256 KiB.
CHUNK = 64


def shared_ranks(rows: Sequence[Mapping[str, Any]]) -> list[ranking.Ranked]:
    """The ranks of ``rows`` (detector, next with its interval, runs), which are best first.

    A detector whose runs were not scored on the same images as most are has nothing to be tested
    with. Vectors are read in the order of the rows, a few at a time.
    """
    influences = _Influences([row for row in rows if row["next"] is not None])
    return ranking.shared_ranks(
        [ranking.Entry(row["detector"], row["next"], row["next_low"], row["next_high"]) for row in rows],
        influences.differ,
        untested=influences.missing,
    )


class _Influences:
    """What every image adds to the headline of each of ``rows``: the mean over its seeds."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._runs: dict[str, list[int]] = {row["detector"]: row["runs"] for row in rows}
        units = dict(
            RunInfluence.objects.filter(run__in=[pk for runs in self._runs.values() for pk in runs])
            .order_by()
            .values_list("run", "units")
        )
        usual = Counter(tuple(found) for found in units.values()).most_common(1)
        basis = list(usual[0][0]) if usual else []
        self._order = [
            detector for detector, runs in self._runs.items() if all(units.get(pk) == basis for pk in runs)
        ]
        self._place = {detector: i for i, detector in enumerate(self._order)}
        self._chunk: dict[str, Auroc] = {}
        self._leader: tuple[str, Auroc] | None = None

    @property
    def missing(self) -> set[str]:
        return set(self._runs) - set(self._order)

    def differ(self, leader: str, entry: str) -> bool:
        """Whether the test tells two apart. Whoever leads was an entry just before, or is the first."""
        if self._leader is None or self._leader[0] != leader:
            self._leader = (leader, self._of(leader))
        return ranking.tells_apart(self._leader[1], self._of(entry), len(self._runs))

    def _of(self, detector: str) -> Auroc:
        if detector not in self._chunk:
            place = self._place[detector]
            self._chunk = self._read(self._order[place : place + CHUNK])
        return self._chunk[detector]

    def _read(self, detectors: Sequence[str]) -> dict[str, Auroc]:
        runs = [pk for detector in detectors for pk in self._runs[detector]]
        rows = RunInfluence.objects.filter(run__in=runs, run__scores__period=Period.NEXT).values_list(
            "run", "run__scores__value", "values", "n_pairs"
        )
        found = {
            pk: unpack(value, bytes(values), n_pairs)
            for pk, value, values, n_pairs in rows
            if value is not None
        }
        return {
            detector: over_seeds([found[pk] for pk in self._runs[detector]]).mean for detector in detectors
        }
