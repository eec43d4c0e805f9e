"""Arrow stream files in the store: written in small record batches, read memory-mapped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from leaderboard.store import Store
from sandbox.arrow import ArrowFile


class ArrowWriter(ArrowFile):
    """Writes one new object of the store. The same rows make the same bytes, so the same object."""

    def __init__(self, store: Store, schema: pa.Schema) -> None:
        super().__init__(store.scratch(".arrow"), schema)
        self._store = store

    def finish(self) -> str:
        """Complete the file and hand it to the store; returns its key."""
        return self._store.adopt(self.complete())


def read_table(path: Path) -> pa.Table:
    """The rows of a file, memory-mapped: nothing is read until it is used."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all()
