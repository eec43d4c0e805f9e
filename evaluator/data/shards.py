"""Shards: the images of a batch in one Arrow file, a row an image, found by their content hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID

import pyarrow as pa

from evaluator.data.arrow import ArrowWriter, read_table
from leaderboard.models import Corpus, Image, Split
from leaderboard.store import Store
from protocols.errors import PlatformError

# 64-bit offsets: originals may be large.
_SCHEMA = pa.schema([("content_hash", pa.string()), ("png", pa.large_binary())])
_LOOKUP_ROWS = 5000

# Where an image lies: the batch and the row in its shard.
Place = tuple[UUID, int]


class ShardWriter:
    """Writes a shard. As a context, it leaves nothing in the store unless finished."""

    def __init__(self, store: Store) -> None:
        self._arrow = ArrowWriter(store, _SCHEMA)

    @property
    def n_rows(self) -> int:
        return self._arrow.n_rows

    def write(self, content_hash: str, png: bytes) -> None:
        self._arrow.write((content_hash, png), len(png))

    def finish(self) -> str:
        """Returns the store key; the empty string for a shard without rows."""
        return self._arrow.finish() if self.n_rows else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrow.__exit__(kind, error, trace)


class Shard:
    """A shard, memory-mapped."""

    def __init__(self, store: Store, key: str) -> None:
        table = read_table(store.path(key))
        self._hashes: pa.ChunkedArray = table["content_hash"]
        self._pngs: pa.ChunkedArray = table["png"]

    def __len__(self) -> int:
        return len(self._hashes)

    def content_hash(self, row: int) -> str:
        return str(self._hashes[row].as_py())

    def png(self, row: int) -> bytes:
        return bytes(self._pngs[row].as_py())

    def size_bytes(self, row: int) -> int:
        """The length of a PNG, without reading it."""
        return len(self._pngs[row].as_buffer())


def places(corpus: Corpus, split: Split, hashes: Sequence[str]) -> dict[str, Place]:
    """Where the images of ``corpus`` with these content hashes lie.

    Raises ``PlatformError('staging_failed')`` when one is not in this split of the corpus.
    """
    found: dict[str, Place] = {}
    for chunk in _chunks(hashes, _LOOKUP_ROWS):
        rows = Image.objects.filter(corpus=corpus, split=split, content_hash__in=chunk)
        for content_hash, batch_id, row in rows.values_list("content_hash", "batch_id", "shard_row"):
            found[content_hash] = (batch_id, row)
    missing = set(hashes) - found.keys()
    if missing:
        raise PlatformError(
            "staging_failed",
            f"{len(missing)} images of a manifest are not in the {split} split of {corpus.slug},"
            f" such as {min(missing)}.",
        )
    return found


def _chunks(items: Iterable[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
