"""A private folder for one claim of a piece of work, gone in the end whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from sandbox.tree import remove_tree


@contextmanager
def workplace(work: str, token: int) -> Iterator[Path]:
    """A folder for the claim ``token`` of ``work``, such as ``step-7``.

    Folders of earlier claims of the same work were left by a worker that died; they go too.
    """
    root = settings.HOME / "work"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in root.glob(f"{work}-[0-9]*"):
        remove_tree(old)
    folder = root / f"{work}-{token}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove_tree(folder)
