"""The generators of a corpus in release order, with their images and windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, Sum

from leaderboard.models import Benchmark, Corpus, Generator, Window
from leaderboard.selectors.timelines import NEWEST_EDITION
from protocols.states import BatchState

# A batch that is still being checked, or was turned down, is the maintainers' affair.
SHOWN = (BatchState.SEALED, BatchState.PUBLISHED)


@dataclass(frozen=True)
class Images:
    """The usable images of one origin. ``published_at`` is ``None`` while they are sealed."""

    state: BatchState
    n_train: int
    n_eval: int
    published_at: datetime | None


@dataclass(frozen=True)
class GeneratorRow:
    """``windows``: its window in the newest edition of each of the report's benchmarks."""

    generator: Generator
    images: Images | None
    windows: tuple[int | None, ...]


@dataclass(frozen=True)
class RealSource:
    name: str
    images: Images


@dataclass(frozen=True)
class CorpusReport:
    corpus: Corpus
    benchmarks: tuple[Benchmark, ...]
    generators: tuple[GeneratorRow, ...]
    reals: tuple[RealSource, ...]


def corpus_report(corpus: Corpus, user: object) -> CorpusReport:
    """Generators and real sources with sealed or published images; maintainers also see those without.

    Four queries.
    """
    benchmarks = tuple(corpus.benchmarks.annotate(newest=NEWEST_EDITION))
    window_of = {
        (benchmark_id, generator_id): index
        for benchmark_id, generator_id, index in Window.objects.filter(
            edition__in=[benchmark.newest for benchmark in benchmarks]
        ).values_list("edition__benchmark", "generators", "index")
    }
    images = _images(corpus)
    sees_all = getattr(user, "is_maintainer", False)
    return CorpusReport(
        corpus,
        benchmarks,
        generators=tuple(
            GeneratorRow(
                generator,
                images.get((generator.pk, "")),
                tuple(window_of.get((benchmark.pk, generator.pk)) for benchmark in benchmarks),
            )
            for generator in corpus.generators.all()
            if sees_all or (generator.pk, "") in images
        ),
        reals=tuple(RealSource(source, found) for (_, source), found in images.items() if source),
    )


def _images(corpus: Corpus) -> dict[tuple[int | None, str], Images]:
    """What each origin brings; once something of it is published, what is only sealed does not count."""
    counts = (
        corpus.batches.filter(state__in=SHOWN)
        .order_by("real_source", "-state")
        .values("generator_id", "real_source", "state")
        .annotate(train=Sum("n_train"), evaluation=Sum("n_eval"), published=Min("published_at"))
    )
    images: dict[tuple[int | None, str], Images] = {}
    # Descending, "sealed" comes before "published" and is overwritten by it.
    for row in counts:
        images[row["generator_id"], row["real_source"]] = Images(
            BatchState(row["state"]), row["train"], row["evaluation"], row["published"]
        )
    return images
