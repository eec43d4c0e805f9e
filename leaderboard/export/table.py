"""A table on its way out, with the marks that tell where it is from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from leaderboard.models import Benchmark
from leaderboard.selectors.snapshots import Shown

MARKS = pa.schema(
    [
        ("benchmark", pa.string()),
        ("simulated", pa.bool_()),
        ("edition", pa.int32()),
        ("board_at", pa.timestamp("us", "UTC")),
        ("board", pa.string()),
    ]
)


@dataclass(frozen=True)
class Marks:
    """What every file says of itself. ``board``: the digest of the board that was shown, since ``board_at``.

    Both and ``edition`` are ``None`` where a benchmark has no board yet.
    """

    benchmark: str
    simulated: bool
    edition: int | None = None
    board_at: datetime | None = None
    board: str | None = None

    @classmethod
    def of(cls, benchmark: Benchmark, shown: Shown | None) -> Marks:
        """``benchmark`` with its corpus at hand."""
        simulated = benchmark.corpus.simulated
        if shown is None:
            return cls(benchmark.slug, simulated)
        return cls(benchmark.slug, simulated, shown.edition, shown.at, shown.digest)

    def as_dict(self) -> dict[str, Any]:
        """By name, in the order of ``MARKS``."""
        return {name: getattr(self, name) for name in MARKS.names}

    @property
    def stem(self) -> str:
        """How the name of a file begins: benchmark, edition and day."""
        edition = "" if self.edition is None else f"_edition-{self.edition}"
        day = "" if self.board_at is None else f"_{self.board_at.astimezone(UTC):%Y-%m-%d}"
        return f"{self.benchmark}{edition}{day}"


@dataclass(frozen=True)
class Export:
    """A table under a ``name``. ``parts`` are made as they are asked for, so none has to be held whole."""

    name: str
    marks: Marks
    schema: pa.Schema
    parts: Iterable[pa.RecordBatch]

    @property
    def marked_schema(self) -> pa.Schema:
        """The columns of the table, and those of the marks after them."""
        return pa.schema([*self.schema, *MARKS])

    def marked_parts(self) -> Iterator[pa.RecordBatch]:
        """The parts with the marks as columns."""
        values = self.marks.as_dict()
        for part in self.parts:
            marks = [pa.repeat(pa.scalar(values[f.name], f.type), len(part)) for f in MARKS]
            yield pa.record_batch([*part.columns, *marks], schema=self.marked_schema)

    def file_name(self, suffix: str) -> str:
        return f"{self.marks.stem}_{self.name}.{suffix}"
