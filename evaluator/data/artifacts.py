"""Things that are built once for all workers: an index in the database and a lock while building."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

from evaluator.data.progress import Progress
from leaderboard.models import Artifact, ArtifactKind
from leaderboard.store import Store, store

POLL_S = 0.5


def artifact_key(**description: Any) -> str:
    """The hash of what something is built from; equal descriptions have equal keys."""
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def built_once(
    key: str,
    build: Callable[[Store], Sequence[str]],
    progress: Progress,
    *,
    kind: ArtifactKind,
    sources: Sequence[str],
) -> tuple[str, ...]:
    """The store keys of the artifact ``key``, from the index or else from ``build``.

    ``sources`` are the store keys of what it is built from: they tell who may still need it.

    While one worker builds, the others wait for it; a worker that dies lets go of the lock.
    An artifact that lost a file is built again.
    """
    files = _ready(key)
    if files is None:
        with _lock(key, progress):
            files = _ready(key)
            if files is None:
                files = tuple(build(store()))
                size_bytes = sum(store().path(file).stat().st_size for file in files)
                Artifact.objects.update_or_create(
                    key=key,
                    defaults={
                        "kind": kind,
                        "sources": list(sources),
                        "files": list(files),
                        "size_bytes": size_bytes,
                    },
                )
    return files


def _ready(key: str) -> tuple[str, ...] | None:
    artifact = Artifact.objects.filter(key=key).first()
    if artifact is None or not all(store().exists(file) for file in artifact.files):
        return None
    return tuple(artifact.files)


@contextmanager
def _lock(key: str, progress: Progress) -> Iterator[None]:
    """Hold the advisory lock of ``key`` on a connection of its own, whose end sets it free.

    No transaction is open meanwhile. The server must see the session itself: a pool that shares
    sessions between transactions (PgBouncer's transaction mode) would lose the lock, and then two
    workers may build the same thing at the same time, which costs time and nothing else.
    """
    session = connection.copy()
    number = int.from_bytes(bytes.fromhex(key[:16]), signed=True)
    try:
        while True:
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
                if cursor.fetchone() == (True,):
                    break
            progress(0.0, "waiting for another worker that builds the same")
            time.sleep(POLL_S)
        yield
    finally:
        session.close()
