"""Corpora and batches of images, up to the seal; what follows is in ``publication``."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Batch, Corpus, Generator, Upload
from leaderboard.queue import wake_workers
from leaderboard.services.audit import Verb, record
from leaderboard.services.moves import FREE, SERVER, move
from leaderboard.services.uploads import upload_take
from protocols.errors import RequestError, TidemarkError
from protocols.states import BatchState


def corpus_create(
    *, slug: str, name: str, description: str = "", simulated: bool = False, actor: object = SERVER
) -> Corpus:
    """Raises ``RequestError('conflict')`` when the slug is taken."""
    if Corpus.objects.filter(slug=slug).exists():
        raise RequestError("conflict", f"There is a corpus {slug!r} already.")
    with transaction.atomic():
        record(actor, Verb.CORPUS_CREATED, slug)
        return Corpus.objects.create(slug=slug, name=name, description=description, simulated=simulated)


def batch_create(
    *, corpus: Corpus, generator: Generator | None = None, real_source: str = "", actor: Any = None
) -> Batch:
    """An empty batch, either of a generator or of a real source.

    Raises ``RequestError``: ``invalid``, or ``conflict`` for a withdrawn generator.
    """
    if (generator is None) == (not real_source):
        raise RequestError(
            "invalid", "A batch is of one generator or of one real source: give exactly one of them."
        )
    if generator is not None and generator.corpus_id != corpus.pk:
        raise RequestError("invalid", f"The generator {generator.slug} is not of the corpus {corpus.slug}.")
    if generator is not None and generator.is_withdrawn:
        raise RequestError("conflict", f"{generator.slug} was withdrawn.")
    with transaction.atomic():
        batch = Batch.objects.create(
            corpus=corpus, generator=generator, real_source=real_source, created_by=actor
        )
        record(actor or SERVER, Verb.BATCH_CREATED, f"{corpus.slug}/{batch.origin}", batch=str(batch.pk))
    return batch


def batch_submit(batch: Batch, upload: Upload, *, actor: object) -> Batch:
    """Give a batch its finished upload and queue its check."""
    with transaction.atomic():
        upload = upload_take(upload)
        move(batch, BatchState.CHECKING, actor=actor, upload=upload)
        record(actor, Verb.BATCH_SUBMITTED, f"{batch.corpus.slug}/{batch.origin}", batch=str(batch.pk))
        wake_workers()
    return batch


def batch_seal(batch: Batch, *, actor: object = SERVER) -> Batch:
    """The images are checked and frozen; nothing of the batch changes from here on."""
    return move(
        batch, BatchState.SEALED, actor=actor, **FREE, sealed_at=timezone.now(), progress=1.0, activity=""
    )


def batch_reject(batch: Batch, error: TidemarkError, *, actor: object = SERVER) -> Batch:
    return move(
        batch,
        BatchState.REJECTED,
        actor=actor,
        reason=str(error),
        **FREE,
        activity="",
        error_code=error.code,
        error_detail=error.detail,
    )
