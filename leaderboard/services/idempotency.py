"""Answers that are kept, so that a request which is sent again makes nothing twice.

The thing and the answer that names it are written in one transaction, under a lock of the key that
lives as long as the transaction. So a server that is killed in between leaves neither, and of two
requests in the same instant only one makes something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from leaderboard.models import IdempotencyKey, User
from protocols.errors import RequestError

KEPT = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True)
class Answer:
    """What a request was answered with."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Slot:
    """A key that is held: ``kept`` is what was answered before, None the first time."""

    user: User
    key: str
    fingerprint: str
    kept: Answer | None

    def keep(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        IdempotencyKey.objects.create(
            user=self.user,
            key=self.key,
            fingerprint=self.fingerprint,
            status=status,
            body=body,
            headers=dict(headers),
        )


@contextmanager
def idempotency_slot(user: User, key: str, fingerprint: str) -> Iterator[Slot]:
    """Hold ``key`` for the length of a transaction, which is the caller's work and what it keeps.

    Raises ``RequestError``: idempotency_running while another request holds the key,
    idempotency_mismatch where it was used for another request.
    """
    with transaction.atomic():
        if not _lock(user, key):
            raise RequestError("idempotency_running")
        rows = IdempotencyKey.objects.filter(user=user, key=key)
        rows.filter(created_at__lt=timezone.now() - KEPT).delete()
        row = rows.first()
        if row is not None and row.fingerprint != fingerprint:
            raise RequestError("idempotency_mismatch")
        kept = None if row is None else Answer(row.status, row.body, row.headers)
        yield Slot(user, key, fingerprint, kept)


def forget_old_keys() -> int:
    """Delete the answers of more than a day ago; returns how many."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _lock(user: User, key: str) -> bool:
    """Take the key's advisory lock, which ends with the transaction; whether nobody else had it."""
    name = hashlib.blake2b(f"{user.pk} {key}".encode(), digest_size=8, person=b"idempotency").digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(name, signed=True)])
        return bool(cursor.fetchone()[0])
