"""Editions: official windows, allocation and pairing from rows in a database, and strict extension."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import pytest

from leaderboard.models import Benchmark, Image, Run, Split, Unit
from leaderboard.selectors.windows import timeline_anew
from leaderboard.services.editions import edition_open
from leaderboard.store import store
from protocols.errors import DataError, RequestError
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CorpusFactory,
    GeneratorFactory,
    SubmissionFactory,
    digest,
)
from tests.leaderboard.images import publish, publish_reals
from tests.protocols.reference import window_plan

pytestmark = pytest.mark.django_db


def windows_of(benchmark: Benchmark) -> list[set[str]]:
    edition = benchmark.editions.last()
    assert edition is not None
    return [{g.slug for g in window.generators.all()} for window in edition.windows.all()]


@pytest.mark.shared
def test_an_edition_equals_the_official_plan() -> None:
    plan = window_plan()
    slugs = {name: f"g{n}" for n, name in enumerate(plan["release_dates"])}
    corpus = CorpusFactory()
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=plan["n_generators_per_window"])
    batches = {"": BatchFactory(corpus=corpus, real=True)}
    for name, released in plan["release_dates"].items():
        generator = GeneratorFactory(
            corpus=corpus, slug=slugs[name], release_date=date.fromisoformat(released)
        )
        batches[name] = BatchFactory(corpus=corpus, generator=generator)
    rows: dict[str, list[str]] = {}
    for split, key in ((Split.TRAIN, "train_generator"), (Split.EVAL, "validation_generator")):
        rows[split] = [digest(f"{split} {n}") for n in range(len(plan[key]))]
        Image.objects.bulk_create(
            Image(
                corpus=corpus,
                batch=batches[name],
                split=split,
                content_hash=rows[split][n],
                shard_row=n,
                width=8,
                height=8,
                source_format="PNG",
                source_bytes=1,
            )
            for n, name in enumerate(plan[key])
        )
    edition = edition_open(benchmark)

    assert windows_of(benchmark) == [{slugs[name] for name in window} for window in plan["windows"]]
    expected = [[rows[Split.TRAIN][n] for n in window] for window in plan["train_windows_continual_learning"]]
    ours = [
        [row[0] for row in store().read_json(window.manifest)["rows"]] for window in edition.windows.all()
    ]
    assert ours == expected
    names = {slug: name for name, slug in slugs.items()}
    paired = {
        str(rows[Split.EVAL].index(real)): names[unit.generator.slug]
        for unit in Unit.objects.filter(benchmark=benchmark)
        for real in store().read_json(unit.manifest)["reals"]
    }
    assert paired == plan["validation_real_to_generator"]


def test_generators_beyond_the_last_full_window_are_the_open_window() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    for n in range(5):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    edition_open(benchmark)
    assert windows_of(benchmark) == [{"g0", "g1"}, {"g2", "g3"}]
    assert timeline_anew(benchmark).open == ("g4",)
    assert benchmark.units.count() == 5


def test_a_new_edition_extends_the_old_one_and_changes_nothing_of_it() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    for n in range(4):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    submission = SubmissionFactory(benchmark=benchmark)
    first = edition_open(benchmark)
    before = list(first.windows.values_list("manifest", flat=True))
    units = dict(benchmark.units.values_list("generator__slug", "manifest"))
    # More reals arrive as well: earlier draws must not notice.
    publish_reals(corpus)
    publish(corpus, "g4", "2020-05-01")
    assert edition_open(benchmark) == first
    publish(corpus, "g5", "2020-06-01")
    second = edition_open(benchmark)
    assert second.number == first.number + 1
    assert list(second.windows.values_list("manifest", flat=True))[:2] == before
    now = dict(benchmark.units.values_list("generator__slug", "manifest"))
    assert {slug: now[slug] for slug in units} == units
    assert set(now) - set(units) == {"g4", "g5"}
    assert list(Run.objects.values_list("submission", "edition")) == [
        (submission.pk, first.pk),
        (submission.pk, second.pk),
    ]


def test_no_real_is_used_twice() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    for n in range(6):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
        if n % 2:
            edition_open(benchmark)
    edition = benchmark.editions.last()
    assert edition is not None
    used: dict[str, list[str]] = defaultdict(list)
    for window in edition.windows.all():
        rows = store().read_json(window.manifest)["rows"]
        used["train"] += [content for content, label, _ in rows if label == 0]
        assert sum(label for _, label, _ in rows) * 2 == len(rows) == window.n_images
    for unit in benchmark.units.all():
        manifest = store().read_json(unit.manifest)
        assert len(manifest["fakes"]) == len(manifest["reals"]) == unit.n_fakes == unit.n_reals
        used["eval"] += manifest["reals"]
    for digests in used.values():
        assert len(set(digests)) == len(digests)


def test_an_older_generator_re_orders_from_its_window_on() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    for n in range(6):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    first = edition_open(benchmark)
    publish(corpus, "late", "2020-03-15")
    second = edition_open(benchmark)
    assert windows_of(benchmark) == [{"g0", "g1"}, {"g2", "late"}, {"g3", "g4"}]
    manifests = [list(e.windows.values_list("manifest", flat=True)) for e in (first, second)]
    assert manifests[0][0] == manifests[1][0]
    assert manifests[0][1] != manifests[1][1]


def test_without_a_full_window_there_is_nothing_to_open() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus)
    publish(corpus, "g0", "2020-01-01")
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    with pytest.raises(RequestError) as caught:
        edition_open(benchmark)
    assert caught.value.code == "nothing_to_open"
    assert not benchmark.units.exists()


def test_too_few_reals_are_named_and_nothing_is_made() -> None:
    corpus = CorpusFactory()
    publish_reals(corpus, n_train=7)
    publish(corpus, "g0", "2020-01-01")
    publish(corpus, "g1", "2020-02-01")
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    with pytest.raises(DataError, match=r"not_enough_reals.*1 are missing"):
        edition_open(benchmark)
    assert not benchmark.editions.exists()
    assert not benchmark.units.exists()
