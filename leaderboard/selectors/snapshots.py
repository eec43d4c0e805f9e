"""Which board of a benchmark is shown: the present one, or that of a day, an edition or a citation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from leaderboard.board import Snapshot
from leaderboard.models import Benchmark, Board
from leaderboard.selectors.views import end_of

EDITION = re.compile(r"edition-([0-9]{1,6})", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{12,64}", re.ASCII)
# Each process keeps so many boards in memory; one of 10,000 detectors takes some 20 MiB.
KEPT = 6


@dataclass(frozen=True)
class Shown:
    """A board with when it was made. ``is_present``: there is none newer."""

    snapshot: Snapshot
    number: int
    edition: int
    at: datetime
    digest: str
    is_present: bool

    @property
    def citation(self) -> str:
        """What names this very board in an address, for good."""
        return self.digest[:16]


@lru_cache(maxsize=KEPT)
def _decoded(board_id: int, digest: str) -> Snapshot:
    """A board never changes, so it can be remembered under its digest."""
    content = Board.objects.values_list("table", flat=True).get(pk=board_id, digest=digest)
    return Snapshot.decode(bytes(content))


def shown_board(benchmark: Benchmark, asof: str = "") -> Shown | None:
    """The present board, or the one that ``asof`` names; ``None`` where there is none. Two queries.

    ``asof``: a date or a moment (what was shown at its end), ``edition-N`` (the last board of that
    edition) or the first 12 digits or more of a board's digest.
    """
    boards = Board.objects.filter(benchmark=benchmark).order_by("-id")
    last = boards.values_list("pk", flat=True).first()
    if last is None:
        return None
    if match := EDITION.fullmatch(asof):
        boards = boards.filter(edition__number=int(match[1]))
    elif asof and (moment := end_of(asof)):
        boards = boards.filter(at__lt=moment)
    elif DIGEST.fullmatch(asof):
        boards = boards.filter(digest__startswith=asof)
    elif asof:
        return None
    found = boards.select_related("edition").defer("table").first()
    if found is None:
        return None
    return Shown(
        snapshot=_decoded(found.pk, found.digest),
        number=found.pk,
        edition=found.edition.number,
        at=found.at,
        digest=found.digest,
        is_present=found.pk == last,
    )
