"""Walking and reading directories that a hostile container has written to.

No link is ever followed, nothing that could block or act is ever opened, and every bound is
checked while walking. All functions work relative to directory descriptors, so that a name
that is swapped for a link in between leads nowhere.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from protocols.errors import ParticipantError, PlatformError

Where = Literal["state", "output"]

MAX_DEPTH = 32
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class FileEntry:
    """A plain file below a root; ``path`` is relative to it, with ``/``."""

    path: str
    size_bytes: int
    mode: int


class IrregularError(Exception):
    """A tree that no honest program leaves; the message says what and where."""


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the relative path and ``lstat`` of everything below ``root``, in no particular order.

    Entries that vanish meanwhile are skipped. Raises ``IrregularError`` for more than ``MAX_DEPTH``
    levels, for a folder that can't be read and for a name that isn't printable UTF-8.
    """
    open_folders: list[_Folder] = []
    try:
        open_folders.append(_Folder("", os.open(root, _DIRECTORY)))
        while open_folders:
            folder = open_folders[-1]
            entry = next(folder.entries, None)
            if entry is None:
                open_folders.pop().close()
                continue
            path = folder.prefix + entry.name
            if not path.isprintable():
                raise IrregularError(f"A name is not printable UTF-8: {path!a}.")
            try:
                status = os.stat(entry.name, dir_fd=folder.descriptor, follow_symlinks=False)
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    if len(open_folders) == MAX_DEPTH:
                        raise IrregularError(f"{path[:200]} is more than {MAX_DEPTH} folders deep.")
                    inner = os.open(entry.name, _DIRECTORY, dir_fd=folder.descriptor)
                    open_folders.append(_Folder(path + "/", inner))
            except PermissionError as error:
                raise IrregularError(f"The folder {path} can't be read.") from error
            except (FileNotFoundError, NotADirectoryError):
                continue
    finally:
        for folder in open_folders:
            folder.close()


class _Folder:
    """A folder that a walk is in the middle of; owns ``descriptor``."""

    def __init__(self, prefix: str, descriptor: int) -> None:
        self.prefix = prefix
        self.descriptor = descriptor
        self.entries = os.scandir(descriptor)

    def close(self) -> None:
        self.entries.close()
        os.close(self.descriptor)


def size_of(status: os.stat_result) -> int:
    """Bytes that an entry costs: what it takes on disk or, if sparse, what a copy would take."""
    length = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return max(length, status.st_blocks * 512)


def fault(root: Path, where: Where, *, max_bytes: int, max_files: int) -> str | None:
    """The error code for a directory that has outgrown its budget or hides its size, else None.

    Cheap enough to be called again and again while the container writes: it stops at the bound.
    """
    total_bytes = n_entries = 0
    try:
        for _, status in walk(root):
            total_bytes += size_of(status)
            n_entries += 1
            if total_bytes > max_bytes or n_entries > max_files:
                return f"{where}_too_large"
    except IrregularError:
        return f"{where}_irregular"
    return None


def regular_files(root: Path, where: Where, *, max_bytes: int, max_files: int) -> list[FileEntry]:
    """The plain files below ``root``, sorted by path, once the container is gone.

    Raises ``ParticipantError``: ``<where>_irregular`` for a link, hard link, pipe, socket, device
    or unreadable folder; ``<where>_too_large`` for more than ``max_bytes`` or ``max_files`` entries.
    """
    files: list[FileEntry] = []
    total_bytes = n_entries = 0
    try:
        for path, status in walk(root):
            n_entries += 1
            total_bytes += size_of(status)
            if n_entries > max_files:
                raise ParticipantError(
                    f"{where}_too_large", f"/bench/{where} holds more than {max_files} files."
                )
            if total_bytes > max_bytes:
                raise ParticipantError(
                    f"{where}_too_large", f"/bench/{where} holds more than {max_bytes} bytes."
                )
            if not stat.S_ISDIR(status.st_mode):
                _require_regular(path, status)
                files.append(FileEntry(path, status.st_size, stat.S_IMODE(status.st_mode)))
    except IrregularError as error:
        raise ParticipantError(f"{where}_irregular", f"/bench/{where}: {error}") from error
    return sorted(files, key=lambda file: file.path)


_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def _require_regular(path: str, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise IrregularError(f"{path} is {_KINDS.get(kind, 'not a file')}.")
    if status.st_nlink > 1:
        raise IrregularError(f"{path} is a hard link.")


def open_regular(root: Path, path: str) -> int:
    """A descriptor for the plain file ``path`` below ``root``, opened without following any link.

    Raises ``IrregularError`` when it is anything else, ``FileNotFoundError`` when it is not there.
    """
    *folders, name = path.split("/")
    folder = os.open(root, _DIRECTORY)
    try:
        for part in folders:
            parent, folder = folder, os.open(part, _DIRECTORY, dir_fd=folder)
            os.close(parent)
        # A device may act when it is opened, so its kind is read first.
        _require_regular(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        file = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IrregularError(f"{path} can't be read: {error.strerror}.") from error
    finally:
        os.close(folder)
    try:
        _require_regular(path, os.fstat(file))
    except IrregularError:
        os.close(file)
        raise
    return file


def copy_file(root: Path, entry: FileEntry, target: Path, where: Where) -> None:
    """Copy one file of ``regular_files`` to ``target``, which must not exist, as mode 0644.

    Raises ``ParticipantError("<where>_irregular")`` when it is no longer the plain file of that
    size, ``PlatformError("storage_full")`` when there is no room.
    """
    try:
        source = open_regular(root, entry.path)
    except (IrregularError, FileNotFoundError) as error:
        raise ParticipantError(f"{where}_irregular", f"/bench/{where}: {error}") from error
    try:
        with target.open("xb") as sink:
            copied = 0
            while copied < entry.size_bytes:
                sent = os.sendfile(sink.fileno(), source, copied, entry.size_bytes - copied)
                if sent == 0:
                    raise ParticipantError(f"{where}_irregular", f"/bench/{where}: {entry.path} has shrunk.")
                copied += sent
            os.fchmod(sink.fileno(), 0o644)
    except OSError as error:
        raise PlatformError("storage_full", f"{entry.path} can't be copied: {error.strerror}.") from error
    finally:
        os.close(source)


def remove_tree(root: Path) -> None:
    """Delete a folder whatever is in it: folders nested without end or closed to their owner too.

    ``shutil.rmtree`` calls itself for every level. Raises ``PlatformError("storage_full")`` when
    something is left.
    """
    # Files are left as they are, for some may be links into a store.
    opening = ["find", str(root), "-type", "d", "!", "-perm", "-700", "-exec", "chmod", "u+rwx", "{}", ";"]
    for command in (opening, ["rm", "-rf", "--one-file-system", "--", str(root)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PlatformError("storage_full", f"{root} can't be removed: {done.stderr.strip()[:500]}")
