"""Publication: a sealed batch becomes part of its corpus, and every detector meets a newcomer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Batch, Benchmark, Corpus, Generator
from leaderboard.selectors.timelines import newest_edition
from leaderboard.selectors.windows import timeline_extended
from leaderboard.services.audit import Verb, record
from leaderboard.services.editions import benchmark_lock, edition_extend, newcomer_join
from leaderboard.services.moves import SERVER, move
from leaderboard.services.news import tell_published
from leaderboard.services.units import units_ensure
from protocols.errors import RequestError
from protocols.states import BatchState


def needs_reason(audit: Mapping[str, Any]) -> bool:
    """Whether a batch with this shortcut audit is published only with a written reason."""
    return bool(audit.get("exceeds"))


def batch_publish(batch: Batch, *, actor: object = SERVER, reason: str = "") -> Batch:
    """Make a sealed batch part of its corpus, in one transaction with all that follows from it.

    The first batch of a generator that is newer than the frontier of a benchmark brings it
    into the open window: it gets its evaluation unit, every active detector a prediction
    with its last checkpoint, and the window closes when it is full. An older generator, and
    further images of one that is known, wait for an edition that is cut anew. Reals join the pool.

    Raises ``RequestError``: ``reason_required`` when the shortcut audit is beyond its bound,
    ``conflict`` when the generator is withdrawn, ``illegal_transition`` when the batch is not
    sealed; ``DataError('not_enough_reals')`` when the newcomer can't be paired.
    """
    with transaction.atomic():
        # Publications of one corpus take turns, so that no two of them take the same reals.
        Corpus.objects.select_for_update().get(pk=batch.corpus_id)
        if needs_reason(batch.audit) and not reason.strip():
            raise RequestError(
                "reason_required", f"The shortcut audit of the batch of {batch.origin} is beyond its bound."
            )
        if batch.generator and batch.generator.is_withdrawn:
            raise RequestError("conflict", f"{batch.generator.slug} was withdrawn.")
        is_new = (
            batch.generator is not None
            and not batch.generator.batches.filter(state=BatchState.PUBLISHED).exists()
        )
        move(
            batch,
            BatchState.PUBLISHED,
            actor=actor,
            reason=reason,
            published_at=timezone.now(),
            publication_reason=reason.strip(),
        )
        record(
            actor,
            Verb.BATCH_PUBLISHED,
            f"{batch.corpus.slug}/{batch.origin}",
            reason=reason,
            batch=str(batch.pk),
        )
        if batch.generator and is_new:
            for benchmark in batch.corpus.benchmarks.order_by("pk"):
                arrive(benchmark, batch.generator, actor=actor)
                tell_published(benchmark, batch.generator)
    return batch


def arrive(benchmark: Benchmark, generator: Generator, *, actor: object = SERVER) -> bool:
    """Show a published generator to the detectors of a benchmark, if the open window has a place for it.

    Calling it again changes nothing. Returns whether it is evaluated on now.
    """
    with transaction.atomic():
        benchmark = benchmark_lock(benchmark)
        edition = newest_edition(benchmark)
        newest = benchmark.editions.last()
        if edition is None or newest is None or generator.slug in timeline_extended(newest).waiting:
            return False
        (unit,) = units_ensure(benchmark, [generator.slug])
        # An edition that waits for approval is scored on the newcomer too, once it is open.
        for target in {edition.pk: edition, newest.pk: newest}.values():
            newcomer_join(target, unit)
        edition_extend(benchmark, actor=actor)
        return True
