"""Bringing a batch in through the API: register, pack, upload, wait for the check."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tidemark.client import Api, ApiError, Json

POLL_S = 1.0
# What a generator is registered with; the API names the fields so, too.
FACTS = ("name", "family", "release_date", "source", "licence")
NEEDED = ("name", "release_date")


class UsageError(ValueError):
    """The command can't mean this; the message says what is missing or contradicts the server."""


@dataclass(frozen=True)
class Subject:
    """What a batch is of: a generator or a real source of a corpus; ``facts`` as given, to register it."""

    corpus: str
    generator: str | None
    real_source: str | None
    facts: dict[str, str]

    @property
    def query(self) -> dict[str, str]:
        """The fields that name it in the API."""
        if self.generator is not None:
            return {"corpus": self.corpus, "generator": self.generator}
        return {"corpus": self.corpus, "real_source": self.real_source or ""}

    @property
    def name(self) -> str:
        return self.generator or self.real_source or ""


def register(api: Api, subject: Subject) -> bool:
    """Register the generator if the corpus does not know it; whether it was new.

    Raises ``ApiError`` where there is no such corpus, and ``UsageError`` where facts are missing or
    differ from what is registered.
    """
    if api.find(f"corpora/{subject.corpus}/") is None:
        raise ApiError(f"There is no corpus {subject.corpus!r} on this server.", "not_found")
    if subject.generator is None:
        return False
    known = api.find(f"generators/{subject.corpus}/{subject.generator}/")
    if known is None:
        if missing := [fact for fact in NEEDED if fact not in subject.facts]:
            options = " and ".join(f"--{fact.replace('_', '-')}" for fact in missing)
            raise UsageError(
                f"{subject.generator} is not registered in {subject.corpus} yet; give {options}."
            )
        api.post("generators/", corpus=subject.corpus, slug=subject.generator, **subject.facts)
        return True
    for fact, value in subject.facts.items():
        if known[fact] != value:
            raise UsageError(
                f"{subject.generator} is registered with the {fact.replace('_', ' ')} {known[fact]!r}, "
                f"not {value!r}. Leave it out"
                + (", or correct it with `tidemark generator redate`." if fact == "release_date" else ".")
            )
    return False


class Progress(Protocol):
    """Who shows how far an upload and a check are."""

    def uploading(self, sent: int, size: int) -> None: ...

    def checking(self, share: float, activity: str) -> None: ...


def bring_in(api: Api, server: str, subject: Subject, archive: Path, progress: Progress) -> Json:
    """Upload ``archive`` as a batch of ``subject`` and wait for its check; the batch as it ended.

    Run again with the same archive, it goes on with what is there: an upload that was cut off, a
    check under way, or a batch that was sealed or published. A rejected batch is not tried again.
    Raises ``ApiError``.
    """
    note = _Note.of(server, subject, archive)
    batch = _known(api, note.batch) or api.post("batches/", **subject.query)
    note.write(batch=batch["id"])
    if batch["state"] == "uploading":
        upload = api.upload(
            archive, progress.uploading, resume=note.upload, begun=lambda upload: note.write(upload=upload)
        )
        batch = api.post(f"batches/{batch['id']}/submit/", upload=upload)
    return wait(api, batch["id"], progress.checking)


def wait(api: Api, batch_id: str, show: Callable[[float, str], None]) -> Json:
    """The batch once its check has ended; ``show`` gets the share and what is going on."""
    while (batch := api.get(f"batches/{batch_id}/"))["state"] == "checking":
        show(batch["progress"] or 0.0, batch["activity"])
        time.sleep(POLL_S)
    return batch


def _known(api: Api, batch_id: str) -> Json | None:
    """The batch that this archive went into before, unless it was rejected."""
    batch = api.find(f"batches/{batch_id}/") if batch_id else None
    return batch if batch and batch["state"] != "rejected" else None


@dataclass
class _Note:
    """What this machine remembers of an upload, so that it can go on: a small file for each."""

    file: Path
    batch: str = ""
    upload: str = ""

    @classmethod
    def of(cls, server: str, subject: Subject, archive: Path) -> _Note:
        with archive.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        about = json.dumps([server.rstrip("/"), subject.query, digest], sort_keys=True)
        note = cls(_state_folder() / f"{hashlib.sha256(about.encode()).hexdigest()}.json")
        try:
            kept: dict[str, Any] = json.loads(note.file.read_text(encoding="utf-8"))
            note.batch, note.upload = str(kept["batch"]), str(kept["upload"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # Nothing is remembered, or nothing that helps: the upload begins anew.
        return note

    def write(self, *, batch: str | None = None, upload: str | None = None) -> None:
        self.batch, self.upload = batch or self.batch, upload or self.upload
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps({"batch": self.batch, "upload": self.upload}), encoding="utf-8")
        part.replace(self.file)


def _state_folder() -> Path:
    """Where programs of this user keep what they remember (the XDG base directory specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "tidemark" / "uploads"
