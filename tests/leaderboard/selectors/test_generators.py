from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.selectors.generators import corpus_report
from protocols.states import BatchState
from tests.leaderboard.factories import BatchFactory, BenchmarkFactory, GeneratorFactory
from tests.leaderboard.world import GENERATORS, World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


def test_generators_stand_in_release_order_with_their_window_and_images(world: World) -> None:
    report = corpus_report(world.corpus, VISITOR)
    assert [row.generator.slug for row in report.generators] == [g[0] for g in GENERATORS] + ["sealed-next"]
    assert [row.windows for row in report.generators[3:6]] == [(0,), (1,), (1,)]
    assert report.generators[16].windows == (None,)
    first, sealed = report.generators[0].images, report.generators[-1].images
    assert (first.state, first.n_train, first.n_eval) == (BatchState.PUBLISHED, 240, 60)
    assert (sealed.state, sealed.published_at) == (BatchState.SEALED, None)
    assert [(real.name, real.images.n_eval) for real in report.reals] == [
        ("dead-leaves", 1080),
        ("office-camera", 1080),
    ]


@pytest.mark.parametrize("state", [BatchState.UPLOADING, BatchState.CHECKING, BatchState.REJECTED])
def test_what_is_in_preparation_is_for_maintainers(world: World, state: BatchState) -> None:
    planned = GeneratorFactory(corpus=world.corpus, slug="planned")
    BatchFactory(corpus=world.corpus, generator=planned, state=state)

    def slugs(user: object) -> set[str]:
        return {row.generator.slug for row in corpus_report(world.corpus, user).generators}

    assert "planned" not in slugs(VISITOR) | slugs(world.submitter)
    assert "planned" in slugs(world.maintainer)


def test_published_images_hide_a_sealed_batch_and_several_add_up(world: World) -> None:
    generator = GeneratorFactory(corpus=world.corpus, slug="twice")
    BatchFactory(corpus=world.corpus, generator=generator, state=BatchState.SEALED, n_train=1)
    BatchFactory(corpus=world.corpus, generator=generator, n_train=5)
    BatchFactory(corpus=world.corpus, real=True, real_source="dead-leaves", n_train=100, n_eval=20)
    report = corpus_report(world.corpus, VISITOR)
    images = next(row.images for row in report.generators if row.generator.slug == "twice")
    assert (images.state, images.n_train) == (BatchState.PUBLISHED, 5)
    assert (report.reals[0].images.n_train, report.reals[0].images.n_eval) == (2500, 1100)


@pytest.mark.parametrize("n_benchmarks", [0, 3])
def test_queries_are_constant(world: World, n_benchmarks: int, django_assert_num_queries) -> None:
    for _ in range(n_benchmarks):
        BenchmarkFactory(corpus=world.corpus)
    with django_assert_num_queries(4):
        corpus_report(world.corpus, VISITOR)
