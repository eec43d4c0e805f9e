"""Bringing a batch in through the API: register, pack, upload, wait for the check."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidemark.client import Api, ApiError, Json
from tidemark.notes import Note

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
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    note = Note(server.rstrip("/"), subject.query, digest)
    batch = _known(api, note.get("batch")) or api.post("batches/", **subject.query)
    note.write(batch=batch["id"])
    if batch["state"] == "uploading":
        upload = api.upload(
            archive,
            progress.uploading,
            resume=note.get("upload"),
            begun=lambda upload: note.write(upload=upload),
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
