"""Bytes that are read forwards and once, and gzip and zstd on the way."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from protocols.errors import ParticipantError
from sandbox.archive.bounds import Meter, Tally

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 256 << 10
# What a decompressor gets at once: a copy of what it leaves is made for each frame that ends in it.
_FED_BYTES = 32 << 10
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
# A skippable frame, of which `zstd:chunked` and some tools make use: 16 numbers, little-endian.
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
# 128 MiB, what zstd reaches at its strongest level. A frame may ask for 2 GiB.
_WINDOW_LOG = 27


class Stream:
    """Bytes that come in chunks, of which none is empty. ``position`` counts those that were taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.position = 0
        self._chunks = iter(chunks)
        self._chunk = b""
        self._start = 0

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, or fewer at the end, which stay to be read."""
        while len(self._chunk) - self._start < size:
            more = next(self._chunks, b"")
            if not more:
                break
            self._chunk, self._start = self._chunk[self._start :] + more, 0
        return self._chunk[self._start : self._start + size]

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, or fewer at the end."""
        taken = self.peek(size)
        self._start += len(taken)
        self.position += len(taken)
        return taken

    def some(self, limit: int) -> bytes:
        """Up to ``limit`` bytes, and none at the end."""
        if self._start == len(self._chunk):
            self._chunk, self._start = next(self._chunks, b""), 0
        part = self._chunk[self._start : self._start + limit]
        self._start += len(part)
        self.position += len(part)
        return part

    def give_back(self, size: int) -> None:
        """Make the last ``size`` bytes of what ``some`` has just returned unread again."""
        self._start -= size
        self.position -= size

    def exactly(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes in chunks. Raises ``ParticipantError``: archive_unreadable if cut short."""
        left = size
        while left:
            part = self.some(min(left, CHUNK_BYTES))
            if not part:
                raise ParticipantError("archive_unreadable", "The archive is cut short.")
            left -= len(part)
            yield part

    def rest(self) -> Iterator[bytes]:
        """Everything that is left, in chunks."""
        while part := self.some(CHUNK_BYTES):
            yield part


def file_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def is_compressed(head: bytes) -> bool:
    """Whether data that begins with ``head`` is gzip or zstd."""
    return head.startswith((GZIP, ZSTD)) or head[1:4] == _ZSTD_SKIPPABLE


def unpacked(stream: Stream, meter: Meter, frames: Tally) -> Iterator[bytes]:
    """What ``stream`` holds, unpacked once if it is gzip or zstd, counted by ``meter`` and ``frames``.

    Raises ``ParticipantError``: archive_unreadable for damaged data, and what the counters refuse.
    """
    head = stream.peek(4)
    if not is_compressed(head):
        parts: Iterator[bytes] = stream.rest()
    else:
        parts = _gunzipped(stream, frames) if head.startswith(GZIP) else _unzstd(stream, frames)
    try:
        for part in parts:
            meter.count(len(part))
            if part:
                yield part
    except (zlib.error, zstd.ZstdError, EOFError, MemoryError) as error:
        raise ParticipantError(
            "archive_unreadable", f"Compressed data can't be read: {error!s:.200}"
        ) from error


def _gunzipped(stream: Stream, frames: Tally) -> Iterator[bytes]:
    """The members of a gzip stream, one after the other."""
    while stream.peek(1):
        frames.count()
        inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not inflate.eof:
            fed = inflate.unconsumed_tail or stream.some(_FED_BYTES)
            if not fed:
                yield inflate.flush()
                if not inflate.eof:
                    raise EOFError("it ends early")
                break
            if part := inflate.decompress(fed, CHUNK_BYTES):
                yield part
        stream.give_back(len(inflate.unused_data))


def _unzstd(stream: Stream, frames: Tally) -> Iterator[bytes]:
    """The frames of a zstd stream, one after the other."""
    while stream.peek(1):
        frames.count()
        inflate = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        while not inflate.eof:
            fed = stream.some(_FED_BYTES) if inflate.needs_input else b""
            if inflate.needs_input and not fed:
                raise EOFError("it ends early")
            if part := inflate.decompress(fed, CHUNK_BYTES):
                yield part
        stream.give_back(len(inflate.unused_data))
