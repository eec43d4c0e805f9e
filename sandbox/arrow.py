"""Arrow stream files: written in small record batches, the same rows always as the same bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

BATCH_ROWS = 64
# A batch of very large images ends early: the 32-bit offsets of a batch reach 2 GiB.
BATCH_BYTES = 256 * 2**20
# 1980-01-01, what reproducible archives use: the time of writing is nobody's business.
MTIME_S = 315532800


class ArrowFile:
    """Writes the file at ``path``, row by row. As a context, it leaves nothing unless finished."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.n_rows = 0
        self._finished = False
        self._schema = schema
        self._file = pa.OSFile(str(path), "wb")
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

    def complete(self) -> Path:
        """Write what is left and close the file."""
        if self._rows:
            self._flush()
        self._close()
        os.utime(self.path, (MTIME_S, MTIME_S))
        self._finished = True
        return self.path

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
        if not self._finished:
            self.path.unlink(missing_ok=True)
