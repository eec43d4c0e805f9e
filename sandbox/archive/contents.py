"""What lies in an archive, found in one pass from its first byte to its last."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from protocols.errors import ParticipantError
from sandbox.archive import tar
from sandbox.archive.bounds import (
    MAX_BYTES,
    MAX_FILES,
    MAX_FRAMES,
    MAX_HEADERS_BYTES,
    MAX_JSON_BYTES,
    MAX_KEPT_BYTES,
    MAX_MEMBERS,
    Meter,
    Tally,
)
from sandbox.archive.stream import Stream, file_chunks, is_compressed, unpacked


@dataclass(frozen=True)
class Layer:
    """A tar in the archive, unpacked if it was compressed."""

    diff_id: str
    size_bytes: int


@dataclass(frozen=True)
class Blob:
    """A file in the archive: ``digest`` and ``size_bytes`` are those of its bytes as they lie there.

    It is a layer, or else its ``content`` is kept where that is short enough for JSON.
    """

    name: str
    digest: str
    size_bytes: int
    layer: Layer | None
    content: bytes | None


@dataclass(frozen=True)
class Contents:
    """The files of an archive by name; ``links`` lead from a name to that of a file."""

    files: dict[str, Blob]
    links: dict[str, str]

    def find(self, name: object) -> Blob | None:
        """The file that ``name`` leads to, by a link or not."""
        path = normal(name) if isinstance(name, str) else None
        return self.files.get(self.links.get(path, path)) if path else None


@dataclass
class _Limits:
    """Everything that is counted while an archive is read."""

    outer: Meter
    layers: Meter
    members: Tally = field(default_factory=lambda: Tally(MAX_MEMBERS, "members"))
    headers: Tally = field(default_factory=lambda: Tally(MAX_HEADERS_BYTES, "bytes of headers"))
    files: Tally = field(default_factory=lambda: Tally(MAX_FILES, "files in its layers"))
    frames: Tally = field(default_factory=lambda: Tally(MAX_FRAMES, "compressed pieces"))
    kept: Tally = field(default_factory=lambda: Tally(MAX_KEPT_BYTES, "bytes of JSON"))


@contextmanager
def opened(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[tuple[Stream, _Limits]]:
    """The tar at ``path``, unpacked on the way if it is gzip or zstd, and fresh limits for it."""
    size = path.stat().st_size
    if size > max_bytes:
        raise ParticipantError("archive_too_large", f"It has {size} bytes, and the limit is {max_bytes}.")
    limits = _Limits(Meter(size, max_bytes), Meter(size, max_bytes))
    with path.open("rb") as file:
        yield Stream(unpacked(Stream(file_chunks(file)), limits.outer, limits.frames)), limits


def read_contents(path: Path, max_bytes: int = MAX_BYTES) -> Contents:
    """Read an archive through, and hash and count everything in it.

    Raises ``ParticipantError``: archive_unreadable, _unsafe, _too_large or _bomb.
    """
    files: dict[str, Blob] = {}
    links: dict[str, str] = {}
    with opened(path, max_bytes) as (stream, limits):
        for entry in tar.entries(stream, limits.headers):
            limits.members.count()
            name = normal(entry.name)
            if entry.kind == tar.FOLDER and name is not None:
                continue
            if name is None or name in files or name in links:
                raise tar.unsafe(entry.name, "lies outside, or comes twice")
            if entry.kind == tar.LINK:
                # Docker before 25 and Podman link layers that several images share.
                links[name] = _target(name, entry.target)
            elif entry.kind == tar.FILE:
                files[name] = _read_blob(name, Stream(stream.exactly(entry.size)), limits)
            else:
                raise tar.unsafe(entry.name, "is neither a file nor a folder")
    for name, target in links.items():
        if target not in files:
            raise tar.unsafe(name, "links to nothing")
    return Contents(files, links)


def normal(name: str) -> str | None:
    """The name without detours, or None when it leads out of the archive."""
    path = posixpath.normpath(name)
    return None if path.startswith("/") or path == ".." or path.startswith("../") else path


def _target(name: str, link: str) -> str:
    target = normal(posixpath.join(posixpath.dirname(name), link))
    if target is None:
        raise tar.unsafe(name, "links to the outside")
    return target


def _read_blob(name: str, raw: Stream, limits: _Limits) -> Blob:
    digest = hashlib.sha256()
    part = Stream(_hashed(raw.rest(), digest))
    head = part.peek(tar.BLOCK)
    layer: Layer | None = None
    content: bytes | None = None
    if is_compressed(head) or tar.is_header(head):
        layer = _read_layer(part, digest, limits)
    else:
        content = part.take(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            content = None
        else:
            limits.kept.count(len(content))
    for _ in part.rest():
        pass
    return Blob(name, f"sha256:{digest.hexdigest()}", raw.position, layer, content)


def _read_layer(part: Stream, digest: hashlib._Hash, limits: _Limits) -> Layer:
    """Read a tar through. The engine will unpack it, so what only harms is refused here."""
    packed = is_compressed(part.peek(4))
    before = limits.layers.total_bytes
    inner = unpacked(part, limits.layers, limits.frames)
    # The bytes of a plain layer are hashed already.
    diff = hashlib.sha256() if packed else digest
    stream = Stream(_hashed(inner, diff) if packed else inner)
    # Headers in a layer are bounded by its size; there may be one for each file.
    for entry in tar.entries(stream, Tally(limits.layers.max_bytes, "bytes of headers")):
        limits.files.count()
        _judge_file(entry)
    for _ in stream.rest():
        pass
    return Layer(f"sha256:{diff.hexdigest()}", limits.layers.total_bytes - before)


_LAYER_KINDS = (tar.FILE, tar.HARD_LINK, tar.LINK, tar.FOLDER, tar.PIPE, *tar.DEVICES)


def _judge_file(entry: tar.Entry) -> None:
    """Refuse what no build tool writes. Base images may hold devices; the sandbox gives access to none."""
    if entry.kind not in _LAYER_KINDS:
        raise tar.unsafe(entry.name, "is of a kind that no layer has")
    if ".." in entry.name.split("/") or (entry.kind == tar.HARD_LINK and ".." in entry.target.split("/")):
        raise tar.unsafe(entry.name, "leads out of its layer")


def _hashed(chunks: Iterator[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
