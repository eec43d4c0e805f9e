"""The published generators that no closed window holds yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from leaderboard.models import Edition, Generator
from protocols.states import BatchState


@dataclass(frozen=True)
class Ahead:
    """``open``: newer than the newest trained-on generator, evaluated on and not trained on.

    ``waiting``: older than that; they wait for an edition that re-orders. Both in
    release order, without what was withdrawn.
    """

    open: tuple[Generator, ...]
    waiting: tuple[Generator, ...]


def ahead(corpus_id: int, edition: Edition | None) -> Ahead:
    """Where the generators that were published since ``edition`` stand. Two queries."""
    closed = Generator.objects.filter(windows__edition=edition) if edition else Generator.objects.none()
    frontier = edition.frontier if edition else date.min
    published = Generator.objects.filter(
        corpus=corpus_id, batches__state=BatchState.PUBLISHED, withdrawn_at=None
    ).distinct()
    others = published.exclude(pk__in=closed.values("pk")).select_related("corpus")
    return Ahead(
        open=tuple(generator for generator in others if generator.release_date > frontier),
        waiting=tuple(generator for generator in others if generator.release_date <= frontier),
    )
