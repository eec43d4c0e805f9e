"""Making boards: each time that something has changed, what everybody sees is written down for good."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import structlog
from django.db import connection, transaction
from django.db.models import Q

from leaderboard.board import digest_of, encode
from leaderboard.models import Benchmark, Board, BoardTouch, Submission
from leaderboard.selectors.standings import standings, timelines_of
from leaderboard.selectors.timelines import shown_edition
from leaderboard.services.ranks import shared_ranks
from protocols import ranking

log = structlog.get_logger(__name__)

# The namespace of the advisory lock that one board at a time is made under.
LOCK = 0x71DE


def board_touch(*benchmark_ids: int) -> None:
    """Say that something on the board of a benchmark has changed; it is made anew soon after the commit."""
    BoardTouch.objects.bulk_create(BoardTouch(benchmark_id=pk) for pk in benchmark_ids)


def boards_refresh(*, every: bool = False) -> int:
    """Make the boards anew that something has changed on, or all of them; how many differ from before."""
    benchmarks = Benchmark.objects.filter(Q(board_touches__isnull=False) | Q(boards__isnull=True)).distinct()
    return sum(
        board_refresh(benchmark) is not None
        for benchmark in (Benchmark.objects.all() if every else benchmarks)
    )


def board_refresh(benchmark: Benchmark) -> Board | None:
    """Write the board of ``benchmark`` as it is now, if it differs from the last one.

    Any number of processes may call it at once: one does the work, and what changes meanwhile
    is left to the next call.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, benchmark.pk])
            (is_ours,) = cursor.fetchone()
        if not is_ours:
            return None
        seen = list(BoardTouch.objects.filter(benchmark=benchmark).values_list("pk", flat=True))
        edition = shown_edition(benchmark)
        made = None
        if edition is not None:
            timelines = timelines_of(edition)
            table = ranked(standings(edition, Submission.objects.visible_to(None), timelines))
            content = encode(table, timelines)
            digest = digest_of(content)
            last = benchmark.boards.only("digest").order_by("-id").first()
            if last is None or last.digest != digest:
                made = Board.objects.create(
                    benchmark=benchmark, edition=edition, digest=digest, n_rows=len(table), table=content
                )
                log.info("board_made", benchmark=benchmark.slug, rows=len(table), bytes=len(content))
        BoardTouch.objects.filter(pk__in=seen).delete()
    return made


def ranked(table: pa.Table) -> pa.Table:
    """The table best first, with its ranks. Null rows have none, and count for nobody's."""
    values, names = table["next"].to_pylist(), table["name"].to_pylist()
    order = sorted(
        range(len(table)), key=lambda i: (2.0 if values[i] is None else -values[i], names[i].lower())
    )
    table = table.take(pa.array(order, pa.int64()))
    competes = [not null_row for null_row in table["null_row"].to_pylist()]
    rows = table.select(["detector", "next", "next_low", "next_high", "runs"]).to_pylist()
    places = {
        place.id: place
        for place in shared_ranks([row for row, does in zip(rows, competes, strict=True) if does])
    }
    found = [places.get(row["detector"]) for row in rows]
    windows = zip(*table["windows"].to_pylist(), strict=True)
    # Ranks by one window are among those that are ranked at all, or they would not compare.
    is_ranked = [place is not None and place.rank is not None for place in found]
    by_window = [_positions(column, is_ranked) for column in windows]
    columns = {
        "rank": [place and place.rank for place in found],
        "rank_best": [place and place.best for place in found],
        "rank_worst": [place and place.worst for place in found],
        "forgetting_rank": _positions(table["forgetting"].to_pylist(), competes, sign=-1),
        "backward_rank": _positions(table["backward"].to_pylist(), competes),
        "windows_rank": [list(row) for row in zip(*by_window, strict=True)] or [[]] * len(table),
    }
    for name, ranks in columns.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        table = table.set_column(index, field, pa.array(ranks, field.type))
    return table


def _positions(
    values: Sequence[float | None], competes: Sequence[bool], *, sign: int = 1
) -> list[int | None]:
    """The rank of each value among those that compete: higher is better unless ``sign`` is -1."""
    entries = [
        ranking.Entry(str(i), sign * value if does and value is not None else None)
        for i, (value, does) in enumerate(zip(values, competes, strict=True))
    ]
    return [place.rank for place in ranking.rank(entries)]
