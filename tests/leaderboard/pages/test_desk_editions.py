"""The page that cuts windows anew."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from leaderboard.models import Action, Benchmark
from leaderboard.services.editions import edition_open
from tests.leaderboard.factories import BenchmarkFactory, CorpusFactory, UserFactory
from tests.leaderboard.images import publish, publish_reals

pytestmark = pytest.mark.django_db


@pytest.fixture
def benchmark() -> Benchmark:
    corpus = CorpusFactory()
    publish_reals(corpus)
    for n in range(4):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    benchmark: Benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    edition_open(benchmark)
    return benchmark


@pytest.fixture
def maintainer(client: Client) -> Client:
    client.force_login(UserFactory(username="ada", maintainer=True))
    return client


def test_nothing_to_cut_is_said_and_can_not_be_pressed(benchmark: Benchmark, maintainer: Client) -> None:
    page = maintainer.get(reverse("desk-cut", args=[benchmark.slug])).content.decode()
    assert "Nothing would change" in page
    assert '<button class="primary" disabled>' in page


def test_who_waits_gets_a_place_and_the_log_names_who_gave_it(
    benchmark: Benchmark, maintainer: Client
) -> None:
    publish(benchmark.corpus, "late", "2020-03-15")
    address = reverse("desk-cut", args=[benchmark.slug])
    page = maintainer.get(address).content.decode()
    assert "1 generator waits for such an edition" in page
    assert '<span class="tag">as it is</span>' in page
    answer = maintainer.post(address)
    assert answer["Location"] == reverse("leaderboard", args=[benchmark.slug])
    assert benchmark.editions.count() == 2
    assert Action.objects.filter(actor="ada", verb="edition opened").exists()


def test_what_can_not_be_opened_says_why(maintainer: Client) -> None:
    benchmark = BenchmarkFactory(generators_per_window=2)
    answer = maintainer.post(reverse("desk-cut", args=[benchmark.slug]), follow=True)
    assert "published generators for its first window" in answer.content.decode()
    assert not benchmark.editions.exists()


def test_only_maintainers_open_it(benchmark: Benchmark, client: Client) -> None:
    address = reverse("desk-cut", args=[benchmark.slug])
    assert client.post(address).status_code == 302
    client.force_login(UserFactory())
    assert client.post(address).status_code == 403
    assert benchmark.editions.count() == 1
