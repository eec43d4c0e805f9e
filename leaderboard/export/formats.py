"""The formats of a table: CSV, JSON and Parquet. What is missing is an empty cell, or null."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leaderboard.export.plain import unformula
from leaderboard.export.table import Export


@dataclass(frozen=True)
class Format:
    """``write`` gives the file piece by piece."""

    suffix: str
    content_type: str
    write: Callable[[Export], Iterator[bytes]]


def as_csv(export: Export) -> Iterator[bytes]:
    """UTF-8 with a header and the marks as columns of each row, as a line of comment breaks most readers.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    yield _csv(export.marked_schema.empty_table(), header=True)
    for part in export.marked_parts():
        columns = [unformula(c) if pa.types.is_string(c.type) else c for c in part.columns]
        yield _csv(pa.table(columns, schema=part.schema), header=False)


def _csv(table: pa.Table, *, header: bool) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(include_header=header))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def as_json(export: Export) -> Iterator[bytes]:
    """An object with the marks and, under ``rows``, an object for each row."""
    marks = json.dumps(export.marks.as_dict(), default=_text, ensure_ascii=False)
    yield f'{marks[:-1]}, "rows": ['.encode()
    separator = "\n"
    for part in export.parts:
        columns = [column.to_pylist() for column in part.columns]
        rows = (dict(zip(part.schema.names, row, strict=True)) for row in zip(*columns, strict=True))
        lines = [json.dumps(row, default=_text, ensure_ascii=False, allow_nan=False) for row in rows]
        if lines:
            yield (separator + ",\n".join(lines)).encode()
            separator = ",\n"
    yield b"\n]}\n"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value)} has no form in JSON.")


def as_parquet(export: Export) -> Iterator[bytes]:
    """The marks stand in the columns of each row, and in the metadata of the schema too."""
    marks = {name: value for name, value in export.marks.as_dict().items() if value is not None}
    metadata = {
        name: value if isinstance(value, str) else json.dumps(value, default=_text).strip('"')
        for name, value in marks.items()
    }
    schema = export.marked_schema.with_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for part in export.marked_parts():
            writer.write_batch(part.replace_schema_metadata(metadata))
    yield sink.getvalue().to_pybytes()


FORMATS = {
    form.suffix: form
    for form in (
        Format("csv", "text/csv; charset=utf-8", as_csv),
        Format("json", "application/json", as_json),
        Format("parquet", "application/vnd.apache.parquet", as_parquet),
    )
}
