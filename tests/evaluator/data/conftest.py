"""A store of its own for every test, and corpora built through the services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from evaluator.data.ingest import Report, ingest
from evaluator.data.sources import SourceFile, SplitName
from leaderboard.models import Batch, Corpus
from leaderboard.services.corpora import batch_create, corpus_create
from leaderboard.services.generators import generator_create
from leaderboard.store import Store, store
from tests.evaluator.data.images import png


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Settings) -> Path:
    settings.HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def objects(home: Path) -> Store:
    return store()


@pytest.fixture
def corpus(db: None) -> Corpus:
    return corpus_create(slug="c", name="C")


@pytest.fixture
def fake_batch(corpus: Corpus) -> Callable[[str], Batch]:
    def make(slug: str) -> Batch:
        generator = generator_create(corpus=corpus, slug=slug, name=slug, release_date=date(2020, 1, 1))
        return batch_create(corpus=corpus, generator=generator)

    return make


@pytest.fixture
def real_batch(corpus: Corpus) -> Callable[[str], Batch]:
    return lambda source: batch_create(corpus=corpus, real_source=source)


def silent(share: float, activity: str) -> None:
    """A progress that nobody looks at."""


def take(batch: Batch, files: Iterable[SourceFile]) -> Report:
    report = ingest(batch, files, progress=silent, should_stop=lambda: False)
    assert report is not None
    return report


def pictures(seeds: Iterable[int], split: SplitName | None = None) -> list[SourceFile]:
    return [SourceFile(f"{seed}.png", png(seed), split) for seed in seeds]
