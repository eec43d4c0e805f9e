"""What this machine remembers of an upload, so that it can go on: a small file for each."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path


class Note:
    """Facts, each a text under a name, about what ``about`` names."""

    def __init__(self, *about: object) -> None:
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        self._file = _state_folder() / f"{name}.json"
        self._facts: dict[str, str] = {}
        # Nothing is remembered, or nothing that helps: the upload begins anew.
        with suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._facts = {str(key): str(value) for key, value in kept.items()}

    def get(self, fact: str) -> str:
        """A fact, empty if nothing is known of it."""
        return self._facts.get(fact, "")

    def write(self, **facts: str) -> None:
        self._facts |= facts
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self._facts), encoding="utf-8")
        part.replace(self._file)


def _state_folder() -> Path:
    """Where programs of this user keep what they remember (the XDG base directory specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "tidemark" / "uploads"
