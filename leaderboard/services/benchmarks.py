"""Benchmarks: a protocol with its parameters over a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from leaderboard.models import Benchmark, Corpus
from leaderboard.models.benchmarks import default_budgets
from leaderboard.services.audit import Verb, record
from leaderboard.services.moves import SERVER
from protocols.errors import RequestError


def benchmark_create(
    *,
    slug: str,
    name: str,
    corpus: Corpus,
    budgets: Mapping[str, Mapping[str, float]] | None = None,
    actor: object = SERVER,
    **parameters: Any,
) -> Benchmark:
    """``budgets`` holds, by phase, what differs from the defaults.

    Raises ``RequestError('conflict')`` when the slug is taken.
    """
    if Benchmark.objects.filter(slug=slug).exists():
        raise RequestError("conflict", f"There is a benchmark {slug!r} already.")
    merged = {
        phase: values | dict((budgets or {}).get(phase, {})) for phase, values in default_budgets().items()
    }
    with transaction.atomic():
        record(actor, Verb.BENCHMARK_CREATED, slug)
        return Benchmark.objects.create(slug=slug, name=name, corpus=corpus, budgets=merged, **parameters)


def benchmark_share_scores(
    benchmark: Benchmark, shares: bool, *, reason: str, actor: object = SERVER
) -> bool:
    """Let everybody download the scores of single images, or nobody; whether that is a change.

    Raises ``RequestError('invalid')`` without a ``reason``, as what was downloaded can't be taken back.
    """
    if not reason.strip():
        raise RequestError("invalid", "Say why: what was downloaded can't be taken back.")
    with transaction.atomic():
        changed = Benchmark.objects.filter(pk=benchmark.pk).exclude(shares_scores=shares)
        if not changed.update(shares_scores=shares):
            return False
        verb = Verb.SCORES_SHARED if shares else Verb.SCORES_KEPT
        record(actor, verb, benchmark.slug, reason=reason)
    benchmark.shares_scores = shares
    return True
