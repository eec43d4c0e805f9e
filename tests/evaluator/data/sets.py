"""A small benchmark with units and a window, made of manifests as the services write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from evaluator.data.sources import SourceFile
from leaderboard.models import Benchmark, Corpus, Edition, Unit, Window
from leaderboard.services.corpora import batch_create
from leaderboard.services.generators import generator_create
from leaderboard.store import store
from tests.evaluator.data.conftest import take


@dataclass
class Sets:
    """``units`` by generator; ``hashes`` of each unit's fakes and reals; the one window."""

    units: dict[str, Unit] = field(default_factory=dict)
    fakes: dict[str, list[str]] = field(default_factory=dict)
    reals: dict[str, list[str]] = field(default_factory=dict)
    window: Window | None = None


def build_sets(
    corpus: Corpus,
    fakes: Mapping[str, Sequence[SourceFile]],
    reals: Iterable[SourceFile],
    degradation: str = "v2",
) -> Sets:
    """Each generator's evaluation fakes with as many reals, in order; all training images in a window."""
    benchmark = Benchmark.objects.create(slug="b", name="B", corpus=corpus, degradation=degradation)
    edition = Edition.objects.create(
        benchmark=benchmark, number=1, manifest_hash="0" * 64, frontier=date(2020, 1, 1)
    )
    sets = Sets()
    pool = batch_create(corpus=corpus, real_source="photographs")
    take(pool, reals)
    free = list(pool.images.filter(split="eval").values_list("content_hash", flat=True))
    rows = [[h, 0, ""] for h in pool.images.filter(split="train").values_list("content_hash", flat=True)]
    for slug, files in fakes.items():
        generator = generator_create(corpus=corpus, slug=slug, name=slug, release_date=date(2020, 1, 1))
        batch = batch_create(corpus=corpus, generator=generator)
        take(batch, files)
        hashes = list(batch.images.filter(split="eval").values_list("content_hash", flat=True))
        paired, free = free[: len(hashes)], free[len(hashes) :]
        sets.fakes[slug], sets.reals[slug] = hashes, paired
        manifest = {"degradation": degradation, "fakes": hashes, "reals": paired}
        sets.units[slug] = Unit.objects.create(
            benchmark=benchmark,
            generator=generator,
            manifest=store().put_json(manifest),
            n_fakes=len(hashes),
            n_reals=len(paired),
        )
        trained = batch.images.filter(split="train").values_list("content_hash", flat=True)
        rows += [[h, 1, slug] for h in trained]
    sets.window = Window.objects.create(
        edition=edition,
        index=3,
        manifest=store().put_json({"window": 3, "rows": rows}),
        n_images=len(rows),
    )
    return sets
