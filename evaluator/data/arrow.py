"""Arrow stream files in the store: written in small record batches, read memory-mapped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from leaderboard.store import Store

BATCH_ROWS = 64
# A batch of very large images ends early: the 32-bit offsets of a batch reach 2 GiB.
BATCH_BYTES = 256 * 2**20
# 1980-01-01, what reproducible archives use: the time of writing is nobody's business.
MTIME_S = 315532800


class ArrowWriter:
    """Writes one new object of the store, row by row. As a context, it leaves nothing unless finished.

    The same rows make the same bytes, so the same object.
    """

    def __init__(self, store: Store, schema: pa.Schema) -> None:
        self.n_rows = 0
        self._store = store
        self._schema = schema
        self._path = store.scratch(".arrow")
        self._file = pa.OSFile(str(self._path), "wb")
        self._stream = pa.ipc.new_stream(self._file, schema)
        self._rows: list[Sequence[Any]] = []
        self._bytes = 0

    def write(self, row: Sequence[Any], size_bytes: int) -> None:
        """Append one row, a value a column; ``size_bytes`` is about what it takes."""
        if self._rows and self._bytes + size_bytes > BATCH_BYTES:
            self._flush()
        self._rows.append(row)
        self._bytes += size_bytes
        self.n_rows += 1
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def finish(self) -> str:
        """Complete the file and hand it to the store; returns its key."""
        if self._rows:
            self._flush()
        self._close()
        os.utime(self._path, (MTIME_S, MTIME_S))
        return self._store.adopt(self._path)

    def _flush(self) -> None:
        columns = [
            pa.array(values, type=field.type)
            for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows.clear()
        self._bytes = 0

    def _close(self) -> None:
        if not self._file.closed:
            self._stream.close()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._path.unlink(missing_ok=True)


def read_table(path: Path) -> pa.Table:
    """The rows of a file, memory-mapped: nothing is read until it is used."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all()
