"""Entering a detector: a draft, its archive, and going on where an earlier try stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tidemark.batches import UsageError
from tidemark.client import Api, ApiError, Json
from tidemark.exits import Exit
from tidemark.notes import Note
from tidemark.upload import give_up

OVER = ("rejected", "withdrawn")
WAITS_FOR_BYTES = ("draft", "uploading")


class Progress(Protocol):
    """Who shows how far it is."""

    def inspecting(self) -> None: ...

    def uploading(self, sent: int, size: int) -> None: ...


@dataclass(frozen=True)
class Entry:
    """What is entered: a name on a benchmark for a team (empty: oneself), and what is said of it."""

    benchmark: str
    name: str
    team: str
    facts: dict[str, Any]


def enter(api: Api, entry: Entry, archive: Path, progress: Progress) -> Json:
    """The submission, with its archive handed in.

    Run again, it goes on with the draft of this name and the bytes that the server has; what was
    handed in already is returned as it is. Raises ``ApiError`` and ``UsageError``.
    """
    known = _known(api, entry)
    if known is not None and known["state"] not in WAITS_FOR_BYTES:
        _same_file_or_refuse(api, known, archive)
        return known
    progress.inspecting()
    inspect(archive)
    submission = known or api.post(
        "submissions/", benchmark=entry.benchmark, name=entry.name, team=entry.team or None, **entry.facts
    )
    _hand_in(api, submission, entry, archive, progress)
    return api.get(f"submissions/{submission['id']}/")


def inspect(archive: Path) -> None:
    """The server's own check of an archive, here and before a byte is sent. Raises ``ApiError``."""
    # Imported here: nothing but this command reads archives.
    from protocols.errors import ParticipantError
    from sandbox.archive import inspect_archive

    try:
        inspect_archive(archive)
    except ParticipantError as error:
        told = {"code": error.code, "detail": error.detail, "fix": error.entry.fix, "attr": None}
        message = f"{archive.name} would be turned down: {error.detail} {error.entry.fix}"
        raise ApiError(message, error.code, errors=[told], exit=Exit.REJECTED) from None


def _known(api: Api, entry: Entry) -> Json | None:
    """The entry of this name that is not over."""
    team = entry.team or _alone(api)
    rows = api.list("submissions/", benchmark=entry.benchmark, name=entry.name, team=team, mine=True)
    return next((row for row in rows if row["state"] not in OVER), None)


def _alone(api: Api) -> str:
    """The slug of the caller's team of one."""
    return next(str(team["slug"]) for team in api.get("me/")["teams"] if team["is_personal"])


def _hand_in(api: Api, submission: Json, entry: Entry, archive: Path, progress: Progress) -> None:
    note, file = _note(api, submission), _identity(archive)
    begun = _upload_of(api, submission)
    resume = begun["id"] if begun else note.get("upload")
    if note.get("file") not in ("", file):
        # Another file than the one that was begun: its bytes would be put behind those of the first.
        if begun:
            give_up(api, begun["id"])
        begun, resume = None, ""

    def attach(upload: str) -> None:
        note.write(upload=upload, file=file)
        if begun is None or upload != begun["id"]:
            # Before the first byte: a quota is refused now, and not after gigabytes.
            api.post(f"submissions/{submission['id']}/upload/", upload=upload)

    api.upload(archive, progress.uploading, resume=resume, begun=attach, team=entry.team)


def _upload_of(api: Api, submission: Json) -> Json | None:
    """The upload that a submission waits for."""
    if submission["state"] != "uploading":
        return None
    found = (row for row in api.list("uploads/", finished=False) if row["submission"] == submission["id"])
    return next(found, None)


def _same_file_or_refuse(api: Api, submission: Json, archive: Path) -> None:
    begun = _note(api, submission).get("file")
    if begun not in ("", _identity(archive)):
        raise UsageError(
            f"{submission['name']} was handed in with another file. A new version is a new entry: give it "
            "another --name, or withdraw the old one."
        )


def _note(api: Api, submission: Json) -> Note:
    return Note(api.url, submission["id"])


def _identity(archive: Path) -> str:
    """What tells a file that is still the same; hashing gigabytes would take as long as sending them."""
    about = archive.stat()
    return f"{archive.resolve()} {about.st_size} {about.st_mtime_ns}"
