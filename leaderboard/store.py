"""The content-addressed store: files under the SHA-256 of their content, never changed once written.

A local directory. Objects are read-only, so they can be hard-linked into the folders
that containers see, whatever their size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

CHUNK_BYTES = 1 << 20


def hash_file(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A directory of immutable objects; safe for several writers, also of the same object."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the object of this key lies (or would lie)."""
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ValueError(f"not a store key: {key!r}")
        return self.root / key[:2] / key[2:4] / key

    def exists(self, key: str) -> bool:
        return self.path(key).exists()

    @property
    def scratch_folder(self) -> Path:
        """A folder on the store's file system for what is not finished."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self, suffix: str = "") -> Path:
        """A new empty file on the store's file system, to be written and then adopted."""
        handle, name = tempfile.mkstemp(dir=self.scratch_folder, suffix=suffix)
        os.close(handle)
        return Path(name)

    def adopt(self, path: Path, key: str | None = None) -> str:
        """Move a finished file of the same file system into the store and return its key."""
        key = key or hash_file(path)
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o444)
        path.replace(target)
        return key

    def touch(self, key: str) -> bool:
        """Show that somebody wants this object now; returns whether there is one.

        Its change time is what keeps it from being freed before a row of the database names it.
        """
        try:
            self.path(key).chmod(0o444)
        except FileNotFoundError:
            return False
        return True

    def put_bytes(self, data: bytes) -> str:
        key = hashlib.sha256(data).hexdigest()
        if not self.touch(key):
            path = self.scratch()
            path.write_bytes(data)
            self.adopt(path, key)
        return key

    def put_json(self, value: Any) -> str:
        """Store ``value`` as canonical JSON, so that equal values have one key."""
        return self.put_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

    def read_bytes(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def read_json(self, key: str) -> Any:
        return json.loads(self.read_bytes(key))

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)


def store() -> Store:
    """The server's store."""
    return Store(settings.HOME / "store")
