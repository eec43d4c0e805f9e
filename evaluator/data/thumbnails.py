"""The thumbnails of a batch's images: a file in the store for each shard, a row an image.

They are made as images come in. A file that is not there (it may be deleted like any artifact) is
made again from the shard.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from itertools import accumulate
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from evaluator.data.arrow import ArrowWriter, read_table
from evaluator.data.artifacts import artifact_key, built_once
from evaluator.data.duplicates import Rows, descriptors
from evaluator.data.fingerprints import THUMBNAIL_SIDE, Pixels
from evaluator.data.jobs import thumbnail_of
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress
from evaluator.data.shards import Shard
from leaderboard.models import Artifact, ArtifactKind, Batch
from leaderboard.store import Store, store

FORMAT = 1

_BYTES = THUMBNAIL_SIDE**2
_SCHEMA = pa.schema([("thumbnail", pa.binary(_BYTES))])


class ThumbnailWriter:
    """Writes a file of thumbnails. As a context, it leaves nothing in the store unless finished."""

    def __init__(self, store: Store) -> None:
        self._arrow = ArrowWriter(store, _SCHEMA)

    def write(self, thumbnail: bytes) -> None:
        self._arrow.write((thumbnail,), len(thumbnail))

    def finish(self) -> str:
        """Returns the store key; the empty string for a file without rows."""
        return self._arrow.finish() if self._arrow.n_rows else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrow.__exit__(kind, error, trace)


class ThumbnailFile:
    """The thumbnails of a shard, memory-mapped; no rows for an empty key."""

    def __init__(self, store: Store, key: str) -> None:
        self._column: pa.ChunkedArray = (
            read_table(store.path(key))["thumbnail"] if key else pa.chunked_array([], _SCHEMA.types[0])
        )

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, rows: slice | Rows) -> Pixels:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            chosen = self._column.slice(start, max(0, stop - start))
        else:
            chosen = self._column.take(pa.array(rows))
        parts = [np.frombuffer(_bytes(chunk), dtype=np.uint8) for chunk in chosen.chunks]
        flat = np.concatenate(parts) if parts else np.empty(0, np.uint8)
        return flat.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


class Part(NamedTuple):
    """One shard of a batch and its thumbnails."""

    batch: Batch
    shard: str
    thumbnails: ThumbnailFile


class Gallery:
    """The thumbnails of many shards as one list, with the descriptors of all in memory."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._ends = list(accumulate((len(part.thumbnails) for part in parts), initial=0))
        self.descriptors = np.concatenate(
            [descriptors(np.empty((0, 1, 1), np.uint8)), *(descriptors(part.thumbnails) for part in parts)]
        )

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, rows: slice | Rows) -> Pixels:
        wanted = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        result = np.empty((wanted.size, THUMBNAIL_SIDE, THUMBNAIL_SIDE), dtype=np.uint8)
        for number, part in enumerate(self._parts):
            here = np.flatnonzero((wanted >= self._ends[number]) & (wanted < self._ends[number + 1]))
            if here.size:
                result[here] = part.thumbnails[wanted[here] - self._ends[number]]
        return result

    def place(self, row: int) -> tuple[Part, int]:
        """Where an image lies, and its row there."""
        number = bisect_right(self._ends, row) - 1
        return self._parts[number], row - self._ends[number]


def thumbnails_key(shard: str) -> str:
    """The key of the artifact that holds the thumbnails of a shard."""
    return artifact_key(kind="thumbnails", format=FORMAT, shard=shard)


def keep_thumbnails(shard: str, file: str) -> None:
    """Note the ``file`` with the thumbnails of a new ``shard``."""
    size_bytes = store().path(file).stat().st_size
    Artifact.objects.update_or_create(
        key=thumbnails_key(shard),
        defaults={
            "kind": ArtifactKind.THUMBNAILS,
            "sources": [shard],
            "files": [file],
            "size_bytes": size_bytes,
        },
    )


def ensure_thumbnails(batch: Batch, shard_key: str, progress: Progress) -> ThumbnailFile:
    """The thumbnails of one of the batch's shards, row by row."""

    def build(target: Store) -> list[str]:
        shard = Shard(target, shard_key)
        pngs = (shard.png(row) for row in range(len(shard)))
        with ThumbnailWriter(target) as file, closing(map_ordered(thumbnail_of, pngs)) as results:
            for n, (_, thumbnail) in enumerate(results, start=1):
                file.write(thumbnail)
                progress(n / len(shard), f"thumbnails of {batch.origin}")
            return [file.finish()]

    (key,) = built_once(
        thumbnails_key(shard_key), build, progress, kind=ArtifactKind.THUMBNAILS, sources=[shard_key]
    )
    return ThumbnailFile(store(), key)


def _bytes(chunk: pa.FixedSizeBinaryArray) -> memoryview:
    """The values of one chunk, without a copy."""
    values = memoryview(chunk.buffers()[1])
    return values[chunk.offset * _BYTES : (chunk.offset + len(chunk)) * _BYTES]
