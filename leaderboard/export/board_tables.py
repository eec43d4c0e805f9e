"""The tables of a board: its ranking, its first contacts, and how it stands on one generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from leaderboard.board import SCHEMA, Snapshot, TimelineGenerator
from leaderboard.export.table import Export, Marks
from leaderboard.models import Benchmark
from leaderboard.selectors.selection import focus, known_order, ordered, selected
from leaderboard.selectors.snapshots import Shown
from leaderboard.selectors.views import View
from protocols import ranking

# So many detectors are in memory at a time.
PART_ROWS = 1000
_NUMBER, _TEXT, _DAY, _FLAG = pa.float64(), pa.string(), pa.date32(), pa.bool_()
_WINDOW = pa.int16()
# Of a board's columns these say nothing outside: its detectors are public, and `seeds` has the seed.
_LEFT_OUT = {"is_private", "seed"}
_PER_WINDOW = ("windows", "windows_low", "windows_high", "windows_rank")


def leaderboard(benchmark: Benchmark, shown: Shown, view: View) -> Export:
    """Every row that a view leaves, in its order: the columns of the board, and four for each forecast."""
    board = shown.snapshot
    flat = [f for f in SCHEMA if not pa.types.is_list(f.type) and f.name not in _LEFT_OUT]
    forecasts = range(len(board.timeline.forecasts))
    per_window = [
        pa.field(f"w{k + 1}{name.removeprefix('windows')}", SCHEMA.field(name).type.value_type)
        for k in forecasts
        for name in _PER_WINDOW
    ]
    focused = [pa.field("focus", _NUMBER), pa.field("focus_n", pa.int32())] if view.is_focused else []
    schema = pa.schema([*flat, pa.field("seeds", _TEXT), *per_window, *focused])
    positions = _positions(benchmark, board, view)

    def part(chosen: Sequence[int]) -> pa.RecordBatch:
        taken = board.table.take(pa.array(chosen, pa.int64())).combine_chunks()
        columns: list[Any] = [taken[f.name].combine_chunks() for f in flat]
        columns.append([" ".join(map(str, seeds)) for seeds in taken["seeds"].to_pylist()])
        for k in forecasts:
            columns += [_numbers(board.matrix(name)[chosen, k]) for name in _PER_WINDOW]
        if view.is_focused:
            means, counts = focus(board, view)
            columns += [_numbers(means[chosen]), counts[chosen]]
        return _batch(columns, schema)

    return Export("leaderboard", Marks.of(benchmark, shown), schema, _parts(positions, part))


def first_contacts(benchmark: Benchmark, shown: Shown, view: View) -> Export:
    """A row for each detector that a view leaves and each generator, in the order of release.

    Generators that every detector was trained on from the start are left out. ``checkpoint``: the last
    window trained before the generator's own, by the timeline of the board.
    """
    board = shown.snapshot
    generators = board.timelines.contacts.generators
    contacts = board.matrix("contacts") if len(board) else np.empty((0, len(generators)))
    met_by_any = np.asarray((~np.isnan(contacts)).any(axis=0))
    places = [
        j
        for j, g in enumerate(generators)
        if (g.window or met_by_any[j]) and (not view.family or g.family == view.family)
    ]
    columns = [generators[j] for j in places]
    schema = pa.schema(
        [
            *_WHO,
            *_GENERATOR,
            ("checkpoint", _WINDOW),
            ("prospective", _FLAG),
            ("value", _NUMBER),
            ("low", _NUMBER),
            ("high", _NUMBER),
        ]
    )

    def part(chosen: Sequence[int]) -> pa.RecordBatch:
        n = len(chosen)
        who = board.table.select([f.name for f in _WHO]).take(pa.array(np.repeat(chosen, len(places))))
        cells = np.ix_(chosen, places)
        prospective = board.matrix("prospective")[cells].ravel()
        return _batch(
            [
                *(column.combine_chunks() for column in who.columns),
                *(values * n for values in _of_generators(columns)),
                [g.contact_window for g in columns] * n,
                pa.array(prospective == 1, mask=np.isnan(prospective)),
                *(_numbers(board.matrix(f"contacts{end}")[cells].ravel()) for end in ("", "_low", "_high")),
            ],
            schema,
        )

    positions = _positions(benchmark, board, view) if places else []
    return Export("first-contact", Marks.of(benchmark, shown), schema, _parts(positions, part))


def generator(benchmark: Benchmark, shown: Shown, slug: str) -> Export | None:
    """How the detectors of a board met a generator, best first, and how the newest checkpoints stand on it.

    Ranks are by first contact; null rows have none. ``None`` where the board knows no such generator.
    """
    board = shown.snapshot
    met, newest = board.timelines.contacts.generators, board.timeline.generators
    at = next((j for j, g in enumerate(met) if g.slug == slug), None)
    now = next((j for j, g in enumerate(newest) if g.slug == slug), None)
    if at is None and now is None:
        return None
    found = met[at] if at is not None else newest[now or 0]
    first = {end: _column(board, f"contacts{end}", at) for end in ("", "_low", "_high")}
    last = {end: _column(board, f"newest{end}", now) for end in ("", "_low", "_high")}
    prospective = _column(board, "prospective", at)
    ranks = _ranks(board, first)
    values = np.where(np.isnan(first[""]), -1.0, first[""])
    known = ~(np.isnan(first[""]) & np.isnan(last[""]))
    # Of equals the one that stands higher on the board comes first.
    positions = [int(i) for i in np.argsort(-values, kind="stable") if known[i]]
    n_closed = board.timeline.n_closed
    seen = newest[now].window is not None and not newest[now].is_open if now is not None else False
    schema = pa.schema(
        [
            ("rank", pa.int32()),
            ("rank_best", pa.int32()),
            ("rank_worst", pa.int32()),
            *_WHO,
            *_GENERATOR,
            ("checkpoint", _WINDOW),
            ("prospective", _FLAG),
            ("value", _NUMBER),
            ("low", _NUMBER),
            ("high", _NUMBER),
            ("now_checkpoint", _WINDOW),
            ("now_seen", _FLAG),
            ("now", _NUMBER),
            ("now_low", _NUMBER),
            ("now_high", _NUMBER),
        ]
    )

    def part(chosen: Sequence[int]) -> pa.RecordBatch:
        n = len(chosen)
        who = board.table.select([f.name for f in _WHO]).take(pa.array(chosen, pa.int64()))
        is_now = ~np.isnan(last[""][chosen])
        return _batch(
            [
                *([getattr(ranks[i], name) for i in chosen] for name in ("rank", "best", "worst")),
                *(column.combine_chunks() for column in who.columns),
                *(values * n for values in _of_generators([found])),
                [found.contact_window] * n,
                pa.array(prospective[chosen] == 1, mask=np.isnan(prospective[chosen])),
                *(_numbers(column[chosen]) for column in first.values()),
                [n_closed - 1 if is_there else None for is_there in is_now],
                [seen if is_there else None for is_there in is_now],
                *(_numbers(column[chosen]) for column in last.values()),
            ],
            schema,
        )

    return Export(f"generator-{slug}", Marks.of(benchmark, shown), schema, _parts(positions, part))


_WHO = pa.schema([("detector", _TEXT), ("name", _TEXT), ("team", _TEXT), ("null_row", _TEXT)])
_GENERATOR = pa.schema(
    [
        ("generator", _TEXT),
        ("generator_name", _TEXT),
        ("family", _TEXT),
        ("release_date", _DAY),
        ("window", _WINDOW),
        ("is_open", _FLAG),
    ]
)


def _of_generators(generators: Sequence[TimelineGenerator]) -> list[list[Any]]:
    """The columns of ``_GENERATOR``."""
    names = ("slug", "name", "family", "release_date", "window", "is_open")
    return [[getattr(g, name) for g in generators] for name in names]


def _positions(benchmark: Benchmark, board: Snapshot, view: View) -> list[int]:
    """The rows that a view leaves, in its order."""
    order = known_order(view, len(board.timeline.forecasts), is_continual=benchmark.is_continual)
    return ordered(board, view, order, selected(board, view)) if len(board) else []


def _parts(positions: Sequence[int], part: Any) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(positions), PART_ROWS):
        yield part(positions[first : first + PART_ROWS])


def _column(board: Snapshot, name: str, place: int | None) -> Any:
    """One place of a column of lists [rows]; all missing where there is none."""
    return np.full(len(board), np.nan) if place is None or not len(board) else board.matrix(name)[:, place]


def _ranks(board: Snapshot, first: dict[str, Any]) -> dict[int, ranking.Ranked]:
    """The rank of every row by first contact, by position; null rows neither have one nor count."""
    is_null = board.texts("null_row") != ""

    def bound(end: str, i: int) -> float | None:
        value = float(first[end][i])
        return None if is_null[i] or np.isnan(value) else value

    entries = [
        ranking.Entry(str(i), bound("", i), bound("_low", i), bound("_high", i)) for i in range(len(board))
    ]
    return dict(enumerate(ranking.rank(entries)))


def _numbers(values: Any) -> pa.Array:
    """Numbers [n], of which what is not a number is missing."""
    return pa.array(values, from_pandas=True)


def _batch(columns: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        c.cast(f.type) if isinstance(c, pa.Array) else pa.array(c, f.type)
        for c, f in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)
