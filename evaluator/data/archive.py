"""Reading an uploaded archive of images: a zip, a tar or a gzipped tar, from anywhere.

Nothing is unpacked to disk but the Arrow files of saved datasets, one at a time in a scratch
folder, and no name in it is used as a path. One pass over the headers refuses
what no honest archive holds, before any image is decoded.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from evaluator.data.decode import LIMITS
from evaluator.data.saved import MAX_JSON_BYTES, SavedDatasets, saved_images, saved_split, speaks
from evaluator.data.sources import SourceFile, printable, split_from_path
from protocols.errors import DataError

MAX_FILES = 200_000
MAX_UNPACKED_BYTES = 128 * 2**30
# Files are read in such pieces. No header of an honest tar is larger either, and tarfile would
# read one of any size into memory.
CHUNK_BYTES = 2**20

# What the readers raise on damaged archives; NotImplementedError is zipfile's word for a method of
# compression, or an encryption, that it does not know.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    RecursionError,
    ValueError,
    OverflowError,
    NotImplementedError,
)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class _Member:
    name: str
    size_bytes: int
    is_folder: bool
    is_plain: bool
    open: Callable[[], IO[bytes]]


class ArchiveFiles:
    """The files of an archive, read one after another; ``len`` is about their number.

    Hidden files and what macOS adds are left out. Of a saved dataset the images are files; how many
    there are is not known before they are read. Iterating raises ``DataError``: ``batch_archive``
    where the archive turns out to be damaged, ``batch_dataset`` where a dataset does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved = SavedDatasets()
        sizes = {}
        for member in self._checked():
            if speaks(member.name) and member.size_bytes <= MAX_JSON_BYTES:
                self._saved.note(member.name, _content(member, MAX_JSON_BYTES))
            sizes[member.name] = member.size_bytes
        plain = sum(not self._saved.is_beside(name) for name in sizes)
        saved = [(name, size) for name, size in sizes.items() if self._saved.is_data(name)]
        if not plain and not saved:
            raise DataError("batch_empty", "There is no file in the archive.")
        self._count = plain + min(self._saved.about(saved), MAX_FILES)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[SourceFile]:
        n_rows = n_bytes = 0
        for member in self._checked():
            if self._saved.is_data(member.name):
                split = saved_split(member.name)
                with _damage(), member.open() as file:
                    images = saved_images(file, MAX_FILES - n_rows, MAX_UNPACKED_BYTES - n_bytes)
                    for row, image in enumerate(images):
                        n_rows, n_bytes = n_rows + 1, n_bytes + len(image)
                        yield SourceFile(printable(f"{member.name}[{row}]"), image, split)
            elif not self._saved.is_beside(member.name):
                # One byte more than is allowed, so that the decoder refuses what is larger.
                content = _content(member, LIMITS.max_bytes + 1)
                yield SourceFile(printable(member.name), content, split_from_path(member.name))

    def _checked(self) -> Iterator[_Member]:
        unpacked_bytes = 0
        for n_files, member in enumerate(_members(self._path), start=1):
            name = printable(member.name)
            unpacked_bytes += member.size_bytes
            if n_files > MAX_FILES:
                raise DataError("batch_archive", f"There are more than {MAX_FILES:,} members in the archive.")
            if unpacked_bytes > MAX_UNPACKED_BYTES:
                raise DataError("batch_archive", f"It unpacks to more than {MAX_UNPACKED_BYTES:,} bytes.")
            if member.name.startswith("/") or ".." in member.name.split("/"):
                raise DataError("batch_archive", f"The member {name} leads outside the archive.")
            if not (member.is_folder or member.is_plain):
                raise DataError("batch_archive", f"The member {name} is neither a file nor a folder.")
            if member.is_plain and not _hidden(member.name):
                yield member


def archive_files(path: Path) -> ArchiveFiles:
    """The images in a zip, tar or gzipped tar, split by a folder ``train`` or ``eval`` if there is one.

    They are plain files, or the rows of datasets as Hugging Face's ``save_to_disk`` writes them.
    Raises ``DataError``: ``batch_archive`` for anything else, for members outside, links and
    devices, encryption, too many files or bytes; ``batch_empty`` when there is no file.
    """
    return ArchiveFiles(path)


def _hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith(".") and part != "." for part in parts) or "__MACOSX" in parts


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DataError("batch_archive", f"The archive is damaged: {printable(str(error))}.") from error


def _members(path: Path) -> Iterator[_Member]:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        return _zip_members(path)
    return _tar_members(path, compressed=magic[:2] == b"\x1f\x8b")


def _zip_members(path: Path) -> Iterator[_Member]:
    with _damage():
        archive = zipfile.ZipFile(path)
    with archive:
        for info in archive.infolist():
            if info.flag_bits & 1:
                raise DataError("batch_archive", "The archive is encrypted.")
            if info.compress_type not in _COMPRESSIONS:
                raise DataError("batch_archive", "The zip is compressed in another way than deflate.")
            kind = stat.S_IFMT(info.external_attr >> 16)

            def opened(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return archive.open(info)

            name = info.filename.replace("\\", "/")
            yield _Member(name, info.file_size, info.is_dir(), kind in (0, stat.S_IFREG), opened)


def _tar_members(path: Path, *, compressed: bool) -> Iterator[_Member]:
    with path.open("rb") as raw, gzip.open(raw) if compressed else raw as unpacked:
        with _damage():
            archive = tarfile.TarFile(fileobj=cast("IO[bytes]", _Bounded(unpacked)))
        while True:
            with _damage():
                info = archive.next()
            if info is None:
                return
            # tarfile would keep every header that it has seen.
            archive.members = []  # type: ignore[attr-defined]

            def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
                return archive.extractfile(info) or io.BytesIO()

            yield _Member(info.name.replace("\\", "/"), info.size, info.isdir(), info.isreg(), opened)


def _content(member: _Member, size: int) -> bytes:
    """At most ``size`` bytes of a member."""
    chunks = []
    with _damage(), member.open() as file:
        while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
            chunks.append(chunk)
            size -= len(chunk)
    return b"".join(chunks)


class _Bounded:
    """A file that refuses to be read in huge pieces."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        if size > CHUNK_BYTES:
            raise tarfile.ReadError("a header is too large")
        return self._file.read(size)
