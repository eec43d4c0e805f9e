"""Images of generators and of reals, as rows: what timelines, allocation and pairing read."""

from __future__ import annotations

from datetime import date
from itertools import count

from leaderboard.models import Batch, Corpus, Image, Split
from leaderboard.services.publication import batch_publish
from protocols.states import BatchState
from tests.leaderboard.factories import BatchFactory, GeneratorFactory, digest

_numbers = count()


def add_images(corpus: Corpus, batch: object, split: str, n: int) -> None:
    Image.objects.bulk_create(
        Image(
            corpus=corpus,
            batch=batch,
            split=split,
            content_hash=digest(f"image {next(_numbers)}"),
            shard_row=row,
            width=8,
            height=8,
            source_format="PNG",
            source_bytes=1,
        )
        for row in range(n)
    )


def seal(
    corpus: Corpus, slug: str, released: str, n_train: int = 4, n_eval: int = 3, **fields: object
) -> Batch:
    """A sealed batch of a generator, which is made if the corpus has none of this slug."""
    generator = corpus.generators.filter(slug=slug).first() or GeneratorFactory(
        corpus=corpus, slug=slug, release_date=date.fromisoformat(released)
    )
    batch: Batch = BatchFactory(
        corpus=corpus, generator=generator, state=BatchState.SEALED, n_train=n_train, n_eval=n_eval, **fields
    )
    add_images(corpus, batch, Split.TRAIN, n_train)
    add_images(corpus, batch, Split.EVAL, n_eval)
    return batch


def publish(corpus: Corpus, slug: str, released: str, n_train: int = 4, n_eval: int = 3) -> Batch:
    """The same, published as a maintainer would."""
    return batch_publish(seal(corpus, slug, released, n_train, n_eval), actor="ada")


def publish_reals(corpus: Corpus, n_train: int = 60, n_eval: int = 40) -> None:
    batch = BatchFactory(corpus=corpus, real=True)
    add_images(corpus, batch, Split.TRAIN, n_train)
    add_images(corpus, batch, Split.EVAL, n_eval)
