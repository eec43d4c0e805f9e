"""Which board of a benchmark is shown: the present one, or that of a day, an edition or a citation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from django.db.models import Max
from django.db.models.functions import TruncDate

from leaderboard.board import Snapshot
from leaderboard.models import Benchmark, Board, Generator
from leaderboard.selectors.views import end_of

EDITION = re.compile(r"edition-([0-9]{1,6})", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{12,64}", re.ASCII)
# Each process keeps so many boards in memory; one of 10,000 detectors takes some 20 MiB.
KEPT = 6
# A citation is so much of a board's digest.
CITED_DIGITS = 16
# So many past boards are offered; every other is found by its day.
MOST_PAST = 40


@dataclass(frozen=True)
class Shown:
    """A board with when it was made.

    ``is_present``: there is none newer. ``is_current``: besides, nothing has happened that it does
    not show yet.
    """

    snapshot: Snapshot
    number: int
    edition: int
    at: datetime
    digest: str
    is_present: bool
    is_current: bool

    @property
    def citation(self) -> str:
        """What names this very board in an address, for good."""
        return self.digest[:CITED_DIGITS]


@lru_cache(maxsize=KEPT)
def _decoded(board_id: int, digest: str) -> Snapshot:
    """A board never changes, so it can be remembered under its digest."""
    content = Board.objects.values_list("table", flat=True).get(pk=board_id, digest=digest)
    return Snapshot.decode(bytes(content))


def shown_board(benchmark: Benchmark, asof: str = "") -> Shown | None:
    """The present board, or the one that ``asof`` names; ``None`` where there is none. At most three queries.

    ``asof``: a date or a moment (what was shown at its end), ``edition-N`` (the last board of that
    edition) or the first 12 digits or more of a board's digest.
    """
    boards = Board.objects.filter(benchmark=benchmark).order_by("-id")
    last = boards.values_list("pk", flat=True).first()
    if last is None:
        return None
    if match := EDITION.fullmatch(asof):
        boards = boards.filter(edition__number=int(match[1]))
    elif DIGEST.fullmatch(asof):
        boards = boards.filter(digest__startswith=asof)
    elif asof and (moment := end_of(asof)):
        boards = boards.filter(at__lt=moment)
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
        is_current=found.pk == last and not benchmark.board_touches.exists(),
    )


@dataclass(frozen=True)
class PastBoard:
    """The last board of an edition on a day (UTC)."""

    edition: int
    at: datetime
    citation: str


def past_boards(benchmark: Benchmark) -> list[PastBoard]:
    """The last board of each edition and day, newest first; one query."""
    last = (
        Board.objects.filter(benchmark=benchmark)
        .annotate(day=TruncDate("at", tzinfo=UTC))
        .order_by()
        .values("edition", "day")
        .annotate(last=Max("pk"))
        .values("last")
    )
    rows = Board.objects.filter(pk__in=last).order_by("-pk")[:MOST_PAST]
    return [
        PastBoard(edition, at, digest[:CITED_DIGITS])
        for edition, at, digest in rows.values_list("edition__number", "at", "digest")
    ]


def withdrawn_since(shown: Shown) -> list[str]:
    """The names of the generators that a board has scores on and that were withdrawn after it; one query."""
    timelines = shown.snapshot.timelines
    ids = {g.generator_id for timeline in (timelines.shown, timelines.contacts) for g in timeline.generators}
    gone = Generator.objects.filter(pk__in=ids, withdrawn_at__isnull=False)
    return list(gone.order_by("release_date", "name").values_list("name", flat=True))
