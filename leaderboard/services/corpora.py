"""Corpora, generators and batches of images."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Batch, Corpus, Generator, Upload
from leaderboard.queue import wake_workers
from leaderboard.services.moves import FREE, SERVER, move
from leaderboard.services.uploads import upload_take
from protocols.errors import RequestError, TidemarkError
from protocols.states import BatchState


def corpus_create(*, slug: str, name: str, description: str = "", simulated: bool = False) -> Corpus:
    """Raises ``RequestError('conflict')`` when the slug is taken."""
    if Corpus.objects.filter(slug=slug).exists():
        raise RequestError("conflict", f"There is a corpus {slug!r} already.")
    return Corpus.objects.create(slug=slug, name=name, description=description, simulated=simulated)


def generator_create(
    *,
    corpus: Corpus,
    slug: str,
    name: str,
    release_date: date,
    family: str = "",
    source: str = "",
    licence: str = "",
) -> Generator:
    """Raises ``RequestError('conflict')`` when the corpus has a generator of this slug."""
    if corpus.generators.filter(slug=slug).exists():
        raise RequestError("conflict", f"The corpus {corpus.slug} has a generator {slug!r} already.")
    return Generator.objects.create(
        corpus=corpus,
        slug=slug,
        name=name,
        release_date=release_date,
        family=family,
        source=source,
        licence=licence,
    )


def batch_create(
    *, corpus: Corpus, generator: Generator | None = None, real_source: str = "", actor: Any = None
) -> Batch:
    """An empty batch, either of a generator or of a real source."""
    if (generator is None) == (not real_source):
        raise RequestError(
            "invalid", "A batch is of one generator or of one real source: give exactly one of them."
        )
    if generator is not None and generator.corpus_id != corpus.pk:
        raise RequestError("invalid", f"The generator {generator.slug} is not of the corpus {corpus.slug}.")
    return Batch.objects.create(corpus=corpus, generator=generator, real_source=real_source, created_by=actor)


def batch_submit(batch: Batch, upload: Upload, *, actor: object) -> Batch:
    """Give a batch its finished upload and queue its check."""
    with transaction.atomic():
        upload = upload_take(upload)
        move(batch, BatchState.CHECKING, actor=actor, upload=upload)
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


def batch_publish(batch: Batch, *, actor: object = SERVER) -> Batch:
    """Make a sealed batch part of its corpus: the next edition of its benchmarks will use it.

    Raises ``RequestError('conflict')`` when the generator has a published batch already.
    """
    with transaction.atomic():
        if batch.generator and batch.generator.batches.filter(state=BatchState.PUBLISHED).exists():
            raise RequestError("conflict", f"{batch.generator.slug} has a published batch already.")
        return move(batch, BatchState.PUBLISHED, actor=actor, published_at=timezone.now())
