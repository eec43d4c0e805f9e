"""Freeing room: what nobody needs is deleted, what somebody may need stays.

While a kind is freed no step, archive or batch may change its state: nothing is claimed, nothing
becomes ready and no result is written. So what the rows say is what is needed. What a worker has
put into the store and not yet told the database is known by its change time.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Min
from django.utils import timezone

from leaderboard.models import Artifact, Batch, Step, Submission
from leaderboard.selectors.desk import storage
from leaderboard.selectors.desk.storage import Kind
from leaderboard.services.audit import Verb, record
from leaderboard.services.uploads import delete_spent, spent_uploads
from leaderboard.store import store
from protocols.errors import RequestError
from protocols.states import CHECKED, BatchState, StepState

# How long to try for a moment in which nobody else holds a lock on work, and how often.
PATIENCE_S = 5.0
RETRY_S = 0.05
# What share of a lease the queue may be held still: no heartbeat is written meanwhile.
HOLD_SHARE = 1 / 3
# Clocks of a worker, of this host and of the file server may differ by so much.
CLOCKS = timedelta(minutes=2)


@dataclass(frozen=True)
class Freed:
    """``n_objects`` of one kind are gone, and the room that they took is there again."""

    kind: Kind
    n_objects: int
    size_bytes: int


def storage_free(kind: Kind, *, actor: object) -> Freed:
    """Delete everything of ``kind`` that nobody needs, and log it.

    Freed artifacts are built again when a step needs them, and a superseded checkpoint is trained
    again should its window ever be; nothing else comes back. Doing it twice is harmless.

    Raises ``RequestError('conflict')`` when the queue is too busy to be held still, and
    ``RequestError('nothing_to_free')`` for a kind of which everything is needed for good.
    """
    if kind in storage.KEPT:
        raise RequestError("nothing_to_free")
    # The slow part is done before anything is held still; what comes later is nobody's to delete.
    there = storage.stored_objects().keys() if kind == Kind.ORPHANS else set()
    with transaction.atomic():
        if kind == Kind.UPLOADS:
            freed = _free_uploads()
        elif kind == Kind.ORPHANS:
            _hold_still()
            freed = _free_orphans(there)
        else:
            _hold_still()
            freed = _free_named(kind)
        record(actor, Verb.STORAGE_FREED, kind.value, n_objects=freed.n_objects, size_bytes=freed.size_bytes)
    return freed


def entry_free(archive: str, states: Collection[str]) -> None:
    """Delete the archive and the checkpoints of an entry that its team deleted, unless others need them.

    ``states``: the hashes of the states that its steps left or were scored at. What must not be
    touched now, because work can't be held still or may just have put it there, is left to the desk.
    """
    with suppress(RequestError), transaction.atomic():
        _hold_still()
        gone = storage.unneeded_checkpoints().filter(state_hash__in=states)
        keys = set(storage.checkpoint_objects(gone.values_list("state_hash", flat=True))) | {archive}
        gone.delete()
        named = frozenset().union(*(found.all for found in storage.references().values()))
        _delete(Kind.ORPHANS, keys - named - {""}, _untouched_since())


def _hold_still() -> None:
    """Keep every row of work as it is until this transaction ends; reading goes on.

    All tables are locked at once or none: who waits for one with another in hand can be in a deadlock
    with a publication, and would hold up everybody who comes later.
    """
    tables = ", ".join(model._meta.db_table for model in (Submission, Batch, Step))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE NOWAIT")
            return
        except OperationalError as error:
            if time.monotonic() > deadline:
                detail = "Too much work is changing hands; try again in a moment."
                raise RequestError("conflict", detail) from error
        time.sleep(RETRY_S)


def _untouched_since() -> float:
    """An object that changed after this moment may be the unwritten result of work that is under way."""
    now = timezone.now()
    steps = Step.objects.filter(state=StepState.RUNNING).aggregate(first=Min("started_at"))["first"]
    checks = (
        Submission.objects.filter(state__in=CHECKED, lease_token__isnull=False),
        Batch.objects.filter(state=BatchState.CHECKING, lease_token__isnull=False),
    )
    begun = [steps] if steps else []
    begun += [first for rows in checks if (first := rows.aggregate(first=Min("created_at"))["first"])]
    return (min(begun) - CLOCKS).timestamp() if begun else now.timestamp()


def _free_named(kind: Kind) -> Freed:
    keys = storage.freeable(kind, storage.references())
    if kind == Kind.ARCHIVES:
        storage.unneeded_archives().update(archive="")
    elif kind == Kind.SHARDS:
        storage.unneeded_batches().update(train_shard="", eval_shard="", contact_sheet="")
    elif kind == Kind.ARTIFACTS:
        Artifact.objects.filter(pk__in=[artifact.pk for artifact in storage.unneeded_artifacts()]).delete()
    else:
        storage.unneeded_checkpoints().delete()
    return _delete(kind, keys, _untouched_since())


def _free_orphans(there: AbstractSet[str]) -> Freed:
    old = min((timezone.now() - storage.ORPHAN_AGE).timestamp(), _untouched_since())
    named = frozenset().union(*(found.all for found in storage.references().values()))
    freed = _delete(Kind.ORPHANS, there - named, old)
    n_objects, size_bytes = freed.n_objects, freed.size_bytes
    for path, facts in storage.scratch_files().items():
        if facts.st_ctime < old:
            path.unlink(missing_ok=True)
            n_objects, size_bytes = n_objects + 1, size_bytes + facts.st_size
    return Freed(Kind.ORPHANS, n_objects, size_bytes)


def _free_uploads() -> Freed:
    spent = [upload.offset for upload in spent_uploads()]
    delete_spent()
    return Freed(Kind.UPLOADS, len(spent), sum(spent))


def _delete(kind: Kind, keys: Collection[str], untouched_since: float) -> Freed:
    """Delete those objects that nobody has touched since; what is left of them are orphans.

    Under the lock of the caller, so that no step finds a row whose files are gone; and not for
    so long that leases run out.
    """
    n_objects = size_bytes = 0
    deadline = time.monotonic() + settings.LEASE_S * HOLD_SHARE
    for key in keys:
        if time.monotonic() > deadline:
            break
        path = store().path(key)
        with suppress(FileNotFoundError):
            facts = path.lstat()
            if facts.st_ctime <= untouched_since:
                path.unlink()
                n_objects, size_bytes = n_objects + 1, size_bytes + facts.st_size
    return Freed(kind, n_objects, size_bytes)
