"""Image files on their way in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SplitName = Literal["train", "eval"]
LONGEST_NAME = 255


@dataclass(frozen=True)
class SourceFile:
    """One file of a batch: a path on this machine or the bytes themselves.

    ``split`` is None where a stable share decides. ``pk`` is the primary key that the image is
    to have, for corpora whose order of rows goes across batches; None takes the next one.
    """

    name: str
    content: Path | bytes
    split: SplitName | None = None
    pk: int | None = None


def split_from_path(name: str) -> SplitName | None:
    """``train`` or ``eval`` if a folder in ``name`` (with ``/``) is called so, the outermost first."""
    for folder in name.split("/")[:-1]:
        if folder == "train":
            return "train"
        if folder == "eval":
            return "eval"
    return None


def printable(name: str) -> str:
    """``name`` fit for a report and for the database, which takes neither NUL nor lone surrogates."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
