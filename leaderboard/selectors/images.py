"""The published images of a corpus as rows, and which reals are paired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaderboard.models import Benchmark, Image, Split, Unit
from leaderboard.store import store
from protocols.states import BatchState


@dataclass(frozen=True)
class Row:
    """An image of a published batch; ``generator`` is "" for a real."""

    content_hash: str
    generator: str


def published_rows(benchmark: Benchmark, split: str) -> list[Row]:
    """The published images of a split, in the row order that the seeded draws refer to.

    Those of withdrawn generators are left out; reals have no generator that could be.
    """
    images = Image.objects.filter(
        corpus=benchmark.corpus_id,
        split=split,
        batch__state=BatchState.PUBLISHED,
        batch__generator__withdrawn_at=None,
    ).order_by("id")
    return [
        Row(digest, slug or "")
        for digest, slug in images.values_list("content_hash", "batch__generator__slug")
    ]


def paired_reals(units: Iterable[Unit]) -> set[str]:
    """The content hashes of the reals of these units."""
    return {digest for unit in units for digest in store().read_json(unit.manifest)["reals"]}


def n_unpaired_reals(benchmark: Benchmark) -> int:
    """How many published real images of the evaluation split no unit has."""
    reals = {row.content_hash for row in published_rows(benchmark, Split.EVAL) if not row.generator}
    return len(reals - paired_reals(benchmark.units.all()))
