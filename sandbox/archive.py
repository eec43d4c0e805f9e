"""Checking an uploaded image archive before any engine sees it.

The archive is what ``docker save`` or ``podman save`` writes (the *docker-archive* format): a tar,
plain or gzipped, with ``manifest.json``, one config blob and one tar for each layer. It is read in
place, never unpacked, and everything in it is hostile: sizes, names, types, JSON and digests.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from protocols.contract import LABEL_CONTRACT, LABEL_PHASES, VERSION, Phase
from protocols.errors import ParticipantError

# Images with CUDA and a framework take up to ten gigabytes.
MAX_BYTES = 32 << 30
MAX_MEMBERS = 10_000
MAX_LAYERS = 500
MAX_JSON_BYTES = 4 << 20
# Of extended headers, all together: `tarfile` would read gigabytes, and searches them in quadratic time.
MAX_HEADER_BYTES = 16 << 10
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")

# A detector that never learns has the second form.
PHASES = {
    "train,predict": (Phase.TRAIN, Phase.PREDICT),
    "predict": (Phase.PREDICT,),
}


@dataclass(frozen=True)
class ImageInfo:
    """What an archive holds: ``image_id`` is the digest of its config, ``size_bytes`` that of
    its layers, uncompressed and each counted once.
    """

    image_id: str
    phases: tuple[Phase, ...]
    size_bytes: int
    entrypoint: tuple[str, ...]
    created: str | None
    labels: dict[str, str]


@dataclass(frozen=True)
class _Blob:
    offset: int
    size: int


@dataclass(frozen=True)
class _Image:
    """The parts of an archive that are worth anything, found but not yet judged."""

    config: bytes
    config_name: str
    layers: list[_Blob]


def inspect_archive(path: Path, *, max_bytes: int = MAX_BYTES) -> ImageInfo:
    """Read an image archive and say what is in it.

    ``max_bytes`` bounds the archive and its layers, each uncompressed. Raises ``ParticipantError``:
    archive_unreadable, _unsafe, _too_large, _images, _digest, _platform, _entrypoint, _labels or
    _volumes.
    """
    with _open(path, max_bytes) as source:
        image = _find_image(source)
        config = _json_object(image.config, "the image's config")
        info = _judge(image, config)
        size_bytes = _verify_layers(source, image.layers, _diff_ids(config), max_bytes)
    return replace(info, size_bytes=size_bytes)


def clean_archive(path: Path) -> Iterator[bytes]:
    """An equivalent archive of a checked one, as chunks: the same image, without a name or anything else.

    An engine that loads the original would give the image whatever names it claims, even names
    that other images bear.
    """
    with _open(path, 1 << 60) as source:
        image = _find_image(source)
        config_name = hashlib.sha256(image.config).hexdigest() + ".json"
        names = {blob: f"{index}.tar" for index, blob in enumerate(dict.fromkeys(image.layers))}
        manifest = [
            {"Config": config_name, "RepoTags": None, "Layers": [names[blob] for blob in image.layers]}
        ]
        yield from _member("manifest.json", json.dumps(manifest).encode())
        yield from _member(config_name, image.config)
        for blob, name in sorted(names.items(), key=lambda item: item[0].offset):
            yield _header(name, blob.size)
            yield from source.chunks(blob)
            yield _padding(blob.size)
        yield bytes(2 * tarfile.BLOCKSIZE)


class _Source(io.RawIOBase):
    """The uncompressed archive, which never reads more than it should or beyond ``max_bytes``."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._header_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """For ``tarfile``, which needs no more than headers."""
        if size > tarfile.BLOCKSIZE:
            self._header_bytes += size
        if size < 0 or self._header_bytes > MAX_HEADER_BYTES:
            raise ParticipantError("archive_unsafe", "Long headers in the archive take too much room.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise ValueError("only absolute positions")
        self._require_room(offset)
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()

    def payload(self, blob: _Blob, what: str) -> bytes:
        if blob.size > MAX_JSON_BYTES:
            raise ParticipantError("archive_too_large", f"{what} takes {blob.size} bytes.")
        return b"".join(self.chunks(blob))

    def chunks(self, blob: _Blob) -> Iterator[bytes]:
        self._require_room(blob.offset + blob.size)
        self._file.seek(blob.offset)
        left = blob.size
        while left:
            chunk = self._file.read(min(_CHUNK, left))
            if not chunk:
                raise ParticipantError("archive_unreadable", "The archive is cut short.")
            left -= len(chunk)
            yield chunk

    def _require_room(self, end: int) -> None:
        if end > self._max_bytes:
            raise ParticipantError("archive_too_large", f"The limit is {self._max_bytes} bytes.")


@contextmanager
def _open(path: Path, max_bytes: int) -> Iterator[_Source]:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            if not zipped:
                yield _Source(file, max_bytes)
                return
            with gzip.open(file) as unzipped:
                yield _Source(cast(BinaryIO, unzipped), max_bytes)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise ParticipantError("archive_unreadable", f"The archive can't be read: {error}") from error


def _find_image(source: _Source) -> _Image:
    files, links = _members(source)

    def find(name: object) -> _Blob:
        path = _normal(name) if isinstance(name, str) else None
        blob = files.get(links.get(path, path)) if path else None
        if blob is None:
            raise ParticipantError("archive_unreadable", f"manifest.json names {name!r}, which is not there.")
        return blob

    if "manifest.json" not in files:
        raise ParticipantError(
            "archive_unreadable",
            "There is no manifest.json in the archive. "
            "Make it with `docker save` or `podman save --format docker-archive`.",
        )
    manifest = json.loads(source.payload(files["manifest.json"], "manifest.json"))
    if not isinstance(manifest, list) or len(manifest) != 1 or not isinstance(manifest[0], dict):
        raise ParticipantError("archive_images")
    name, layers = manifest[0].get("Config"), manifest[0].get("Layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        raise ParticipantError(
            "archive_unreadable", f"manifest.json lists no layers, or more than {MAX_LAYERS}."
        )
    config = source.payload(find(name), "The image's config")
    return _Image(config, str(name), [find(layer) for layer in layers])


def _members(source: _Source) -> tuple[dict[str, _Blob], dict[str, str]]:
    """Where each file's content lies, and where each link leads (to another file's name)."""
    files: dict[str, _Blob] = {}
    links: dict[str, str] = {}
    with tarfile.TarFile(fileobj=source) as archive:
        for number, member in enumerate(archive):
            if number == MAX_MEMBERS:
                raise ParticipantError(
                    "archive_too_large", f"The archive has more than {MAX_MEMBERS} members."
                )
            name = _normal(member.name)
            if member.isdir():
                continue
            if name is None or name in files or name in links:
                raise _unsafe(member.name, "lies outside, or comes twice")
            if member.issym():
                # Docker before 25 and Podman link layers that several images share.
                target = _normal(posixpath.join(posixpath.dirname(name), member.linkname))
                if target is None:
                    raise _unsafe(member.name, "links to the outside")
                links[name] = target
            elif member.isreg() and not member.issparse():
                files[name] = _Blob(member.offset_data, member.size)
            else:
                raise _unsafe(member.name, "is neither a file nor a folder")
    for name, target in links.items():
        if target not in files:
            raise _unsafe(name, "links to nothing")
    return files, links


def _normal(name: str) -> str | None:
    """The name without detours, or None when it leads out of the archive."""
    path = posixpath.normpath(name)
    return None if path.startswith(("/", "..")) else path


def _unsafe(name: str, why: str) -> ParticipantError:
    return ParticipantError("archive_unsafe", f"The member {name[:200]!r} {why}.")


def _json_object(raw: bytes, what: str) -> dict[str, Any]:
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise ParticipantError("archive_unreadable", f"In the archive, {what} is not an object.")
    return value


def _judge(image: _Image, config: dict[str, Any]) -> ImageInfo:
    digest = hashlib.sha256(image.config).hexdigest()
    named = _DIGEST.search(image.config_name)
    if named and named[0] != digest:
        raise ParticipantError("archive_digest", f"The config named {named[0]} has the digest {digest}.")
    platform = f"{config.get('os')}/{config.get('architecture')}"
    if platform != "linux/amd64":
        raise ParticipantError("archive_platform", f"The image is for {platform}.")
    settings = config.get("config") or {}
    if not isinstance(settings, dict):
        raise ParticipantError("archive_unreadable", "The image's settings are not an object.")
    if settings.get("Volumes"):
        raise ParticipantError("archive_volumes", f"The image declares {settings['Volumes']!r:.200}.")
    labels = settings.get("Labels") or {}
    created = config.get("created")
    return ImageInfo(
        image_id=f"sha256:{digest}",
        phases=_phases(labels),
        size_bytes=0,
        entrypoint=_entrypoint(settings),
        created=created if isinstance(created, str) else None,
        labels={str(key): str(value) for key, value in labels.items()},
    )


def _entrypoint(settings: dict[str, Any]) -> tuple[str, ...]:
    entrypoint = settings.get("Entrypoint")
    if not isinstance(entrypoint, list) or not entrypoint or not all(isinstance(e, str) for e in entrypoint):
        raise ParticipantError("archive_entrypoint")
    return tuple(entrypoint)


def _phases(labels: object) -> tuple[Phase, ...]:
    if not isinstance(labels, dict) or labels.get(LABEL_CONTRACT) != str(VERSION):
        raise ParticipantError("archive_labels", f"The label {LABEL_CONTRACT} is not {VERSION}.")
    phases = PHASES.get(str(labels.get(LABEL_PHASES)))
    if phases is None:
        raise ParticipantError("archive_labels", f"The label {LABEL_PHASES} is none of: {'; '.join(PHASES)}.")
    return phases


def _diff_ids(config: dict[str, Any]) -> list[str]:
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise ParticipantError("archive_unreadable", "The image's config lists no layers.")
    return diff_ids


def _verify_layers(source: _Source, layers: list[_Blob], diff_ids: list[str], max_bytes: int) -> int:
    """Hash every layer against the config; return their uncompressed size together."""
    if len(layers) != len(diff_ids):
        raise ParticipantError(
            "archive_digest", f"There are {len(layers)} layers and {len(diff_ids)} digests of layers."
        )
    room = max_bytes
    hashes: dict[_Blob, str] = {}
    # In the order of the archive: going back in a gzipped one means starting again.
    for blob in sorted(set(layers), key=lambda layer: layer.offset):
        digest = hashlib.sha256()
        for chunk in _unzipped(source.chunks(blob)):
            room -= len(chunk)
            if room < 0:
                raise ParticipantError("archive_too_large", f"Its layers have more than {max_bytes} bytes.")
            digest.update(chunk)
        hashes[blob] = f"sha256:{digest.hexdigest()}"
    for number, (blob, diff_id) in enumerate(zip(layers, diff_ids, strict=True)):
        if hashes[blob] != diff_id:
            raise ParticipantError("archive_digest", f"Layer {number} is {hashes[blob]}, not {diff_id}.")
    return max_bytes - room


def _unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The content of a layer, which may be gzipped on its own."""
    first = next(chunks, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from chunks
        return
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    for chunk in itertools.chain((first,), chunks):
        yield from _inflated(inflate, chunk)
    yield inflate.flush()


def _inflated(inflate: Any, chunk: bytes) -> Iterator[bytes]:
    while chunk:
        yield inflate.decompress(chunk, _CHUNK)
        chunk = inflate.unconsumed_tail


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content
    yield _padding(len(content))
