"""Generators: registered, corrected, withdrawn."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Corpus, Generator, Run
from leaderboard.queue import wake_workers
from leaderboard.services.audit import Verb, record
from leaderboard.services.boards import board_touch
from leaderboard.services.moves import SERVER
from leaderboard.services.news import tell_withdrawn
from leaderboard.services.publication import arrive
from protocols.errors import RequestError
from protocols.states import BatchState


def generator_create(
    *,
    corpus: Corpus,
    slug: str,
    name: str,
    release_date: date,
    family: str = "",
    source: str = "",
    licence: str = "",
    actor: object = SERVER,
) -> Generator:
    """Raises ``RequestError('conflict')`` when the corpus has a generator of this slug."""
    if corpus.generators.filter(slug=slug).exists():
        raise RequestError("conflict", f"The corpus {corpus.slug} has a generator {slug!r} already.")
    with transaction.atomic():
        record(actor, Verb.GENERATOR_CREATED, f"{corpus.slug}/{slug}", release_date=release_date.isoformat())
        return Generator.objects.create(
            corpus=corpus,
            slug=slug,
            name=name,
            release_date=release_date,
            family=family,
            source=source,
            licence=licence,
        )


def generator_withdraw(generator: Generator, *, actor: object, reason: str) -> Generator:
    """Hide a generator's scores, for its licence or an error, and compute all averages without it.

    What was trained on it stays trained on it: editions are immutable. Nobody's container
    sees its evaluation images again, and an edition that is cut anew leaves it out.

    Raises ``RequestError``: ``reason_required``, or ``conflict`` when it is withdrawn already.
    """
    if not reason.strip():
        raise RequestError("reason_required", "A withdrawal is explained to readers.")
    with transaction.atomic():
        generator = _locked(generator)
        if generator.is_withdrawn:
            raise RequestError("conflict", f"{generator.slug} is withdrawn already.")
        generator.withdrawn_at = timezone.now()
        generator.withdrawal_reason = reason.strip()
        generator.save(update_fields=["withdrawn_at", "withdrawal_reason"])
        record(actor, Verb.GENERATOR_WITHDRAWN, _name(generator), reason=reason)
        _make_stale(generator)
        tell_withdrawn(generator)
    return generator


def generator_redate(generator: Generator, release_date: date, *, actor: object, reason: str) -> Generator:
    """Correct a release date. Closed windows stay as they are until an edition is cut anew.

    In the open window the generator keeps its first contacts; when the new date lies behind
    the frontier it leaves that window's averages, and when it was waiting and the new date
    lies beyond the frontier, it arrives. Raises ``RequestError('reason_required')``.
    """
    if not reason.strip():
        raise RequestError("reason_required", "A corrected date is explained to readers.")
    with transaction.atomic():
        Corpus.objects.select_for_update().get(pk=generator.corpus_id)
        generator = _locked(generator)
        old = generator.release_date
        if old == release_date:
            return generator
        generator.release_date = release_date
        generator.save(update_fields=["release_date"])
        record(
            actor,
            Verb.GENERATOR_REDATED,
            _name(generator),
            reason=reason,
            old=old.isoformat(),
            new=release_date.isoformat(),
        )
        _make_stale(generator)
        if not generator.is_withdrawn and generator.batches.filter(state=BatchState.PUBLISHED).exists():
            for benchmark in generator.corpus.benchmarks.order_by("pk"):
                arrive(benchmark, generator, actor=actor)
    return generator


def generator_show_samples(generator: Generator, shown: bool, *, actor: object) -> Generator:
    """Say whether the licence allows that some training images are shown to everybody."""
    with transaction.atomic():
        generator = _locked(generator)
        generator.shows_samples = shown
        generator.save(update_fields=["shows_samples"])
        record(actor, Verb.SAMPLES_SHOWN if shown else Verb.SAMPLES_HIDDEN, _name(generator))
    return generator


def _locked(generator: Generator) -> Generator:
    return Generator.objects.select_for_update(of=("self",)).select_related("corpus").get(pk=generator.pk)


def _name(generator: Generator) -> str:
    return f"{generator.corpus.slug}/{generator.slug}"


def _make_stale(generator: Generator) -> None:
    """Have the scores of every run that was scored on the generator computed anew, by the workers."""
    Run.objects.filter(edition__units__generator=generator).update(stale_since=timezone.now())
    board_touch(*generator.corpus.benchmarks.values_list("pk", flat=True))
    wake_workers()
