"""The format of a board: an Arrow table with a row for each detector, and the timelines beside it.

A board is immutable. What a page shows of it is a few rows, so they alone become Python objects;
sorting and filtering work on columns.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERIODS = ("next", "past", "whole")
# The averages over time, of the period Next, of what is not AUROC.
MEANS = (
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "tnr",
    "recall",
    "tpr_at_fpr_1",
    "tpr_at_fpr_5",
    "equal_error_rate",
    "brier",
    "calibration_error",
    "past_balanced_accuracy",
    "best_balanced_accuracy",
)
# Of these, less is better.
LESS_IS_BETTER = frozenset({"equal_error_rate", "brier", "calibration_error", "forgetting", "cost_s"})

_NUMBER = pa.float64()
_NUMBERS = pa.list_(pa.float64())
_RANK = pa.int32()
SCHEMA = pa.schema(
    [
        ("detector", pa.string()),
        ("name", pa.string()),
        ("team", pa.string()),
        ("null_row", pa.string()),
        ("track", pa.string()),
        ("is_private", pa.bool_()),
        ("is_withdrawn", pa.bool_()),
        ("declared_cutoff", pa.date32()),
        ("sealed_at", pa.timestamp("us", "UTC")),
        ("run", pa.int64()),
        ("run_state", pa.string()),
        ("seed", pa.int64()),
        # Those that have been through all windows: seeds, and the runs of each.
        ("seeds", pa.list_(pa.int64())),
        ("runs", pa.list_(pa.int64())),
        ("finished_at", pa.timestamp("us", "UTC")),
        ("rank", _RANK),
        ("rank_best", _RANK),
        ("rank_worst", _RANK),
        *(
            (f"{period}{part}", _NUMBER)
            for period in PERIODS
            for part in ("", "_low", "_high", "_generators_low", "_generators_high", "_paper")
        ),
        ("next_min", _NUMBER),
        ("next_max", _NUMBER),
        ("n_windows", pa.int32()),
        *((name, _NUMBER) for name in MEANS),
        ("forgetting", _NUMBER),
        ("forgetting_rank", _RANK),
        ("backward", _NUMBER),
        ("backward_rank", _RANK),
        ("cost_s", _NUMBER),
        # One value for each of the timeline's forecasts.
        ("windows", _NUMBERS),
        ("windows_low", _NUMBERS),
        ("windows_high", _NUMBERS),
        ("windows_rank", pa.list_(_RANK)),
        # One value for each generator of the contact timeline.
        ("contacts", _NUMBERS),
        ("contacts_low", _NUMBERS),
        ("contacts_high", _NUMBERS),
        ("prospective", pa.list_(pa.bool_())),
        # One value for each generator of the timeline: the newest checkpoint's.
        ("newest", _NUMBERS),
        ("newest_low", _NUMBERS),
        ("newest_high", _NUMBERS),
    ]
)


@dataclass(frozen=True)
class TimelineGenerator:
    """``window`` is ``None`` for a generator older than the frontier that has no place in the edition."""

    unit_id: int
    generator_id: int
    slug: str
    name: str
    family: str
    release_date: date
    window: int | None
    is_open: bool

    @property
    def contact_window(self) -> int | None:
        """The last window trained strictly before this generator's own: where the first contact is."""
        return self.window - 1 if self.window else None


@dataclass(frozen=True)
class TimelineWindow:
    index: int
    is_open: bool
    generators: tuple[TimelineGenerator, ...]

    @property
    def released_from(self) -> date:
        return min(generator.release_date for generator in self.generators)

    @property
    def released_to(self) -> date:
        return max(generator.release_date for generator in self.generators)


@dataclass(frozen=True)
class Timeline:
    """``generators`` holds every evaluated generator in release order, ``windows`` those of a window.

    The open window, where there is one, is the last of ``windows``: it is evaluated on
    and not trained on.
    """

    edition: int
    n_closed: int
    windows: tuple[TimelineWindow, ...]
    generators: tuple[TimelineGenerator, ...]

    @property
    def forecasts(self) -> tuple[TimelineWindow, ...]:
        """The windows that are some checkpoint's next one."""
        return self.windows[1:]


@dataclass(frozen=True)
class Timelines:
    """``shown``: of the edition that the averages are of. ``contacts``: of the newest edition, which
    first contacts are with; it may already have a window more."""

    shown: Timeline
    contacts: Timeline


def encode(table: pa.Table, timelines: Timelines) -> bytes:
    """A board as bytes; equal boards give equal bytes."""
    beside = json.dumps(asdict(timelines), default=date.isoformat, sort_keys=True)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    marked = table.combine_chunks().replace_schema_metadata({"timelines": beside})
    with pa.ipc.new_file(sink, marked.schema, options=options) as writer:
        writer.write_table(marked)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """A board in memory. ``number`` and ``at``: which of its benchmark's boards it is, and since when."""

    table: pa.Table
    timelines: Timelines

    @classmethod
    def decode(cls, content: bytes) -> Snapshot:
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
        beside = json.loads(table.schema.metadata[b"timelines"])
        # A board of before a column was there says nothing of it.
        for field in SCHEMA:
            if field.name not in table.schema.names:
                nothing: list[None] | None = [] if pa.types.is_list(field.type) else None
                table = table.append_column(field, pa.array([nothing] * len(table), field.type))
        return cls(table, Timelines(_timeline(beside["shown"]), _timeline(beside["contacts"])))

    @property
    def timeline(self) -> Timeline:
        return self.timelines.shown

    def __len__(self) -> int:
        n: int = self.table.num_rows
        return n

    @property
    def n_ranked(self) -> int:
        """How many a rank is among."""
        n: int = self.table["rank"].null_count
        return len(self) - n

    @cached_property
    def position_of(self) -> Mapping[uuid.UUID, int]:
        """Where the row of a detector is."""
        return {uuid.UUID(text): i for i, text in enumerate(self.table["detector"].to_pylist())}

    def numbers(self, column: str) -> Floats:
        """A column of numbers [rows]; what is missing is NaN."""
        values: Floats = self._cached(column)
        return values

    def matrix(self, column: str) -> Floats:
        """A column of lists of numbers [rows, places]; what is missing is NaN."""
        values: Floats = self._cached(column)
        return values

    @cached_property
    def _columns(self) -> dict[str, Floats]:
        return {}

    def _cached(self, column: str) -> Floats:
        # Two threads may both compute it, and get the same.
        if column not in self._columns:
            array = self.table[column].combine_chunks()
            if pa.types.is_list(array.type):
                places = array.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
                self._columns[column] = places.reshape(len(self), -1) if len(self) else np.empty((0, 0))
            else:
                self._columns[column] = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return self._columns[column]

    def texts(self, column: str) -> NDArray[np.object_]:
        values: NDArray[np.object_] = self.table[column].to_numpy()
        return values

    def rows(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """These rows, each as a dictionary by column."""
        taken: list[dict[str, Any]] = self.table.take(pa.array(positions, pa.int64())).to_pylist()
        return taken


def _timeline(found: dict[str, Any]) -> Timeline:
    def generator(fields: dict[str, Any]) -> TimelineGenerator:
        return TimelineGenerator(
            **fields | {"release_date": date.fromisoformat(fields["release_date"])},
        )

    return Timeline(
        edition=found["edition"],
        n_closed=found["n_closed"],
        windows=tuple(
            TimelineWindow(w["index"], w["is_open"], tuple(map(generator, w["generators"])))
            for w in found["windows"]
        ),
        generators=tuple(map(generator, found["generators"])),
    )
