"""What a publication would start, against what it does start."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from leaderboard.models import Batch, Benchmark, Closing, Corpus, Prediction, Step, Submission, Unit
from leaderboard.selectors.preview import BenchmarkPreview, PhaseCost, edition_preview, publication_preview
from leaderboard.services.editions import edition_open
from leaderboard.services.publication import batch_publish
from leaderboard.services.runs import run_create
from protocols.contract import Phase
from protocols.states import RunState, StepState
from tests.leaderboard.factories import BenchmarkFactory, CorpusFactory, SubmissionFactory
from tests.leaderboard.images import publish, publish_reals, seal

pytestmark = pytest.mark.django_db

# Four generators of 4 training and 3 evaluation images each, in two windows.
TRAIN_S, PREDICT_S = 60.0, 6.0
IMAGES = 4 * 3 * 2


@pytest.fixture
def corpus() -> Corpus:
    corpus = CorpusFactory()
    publish_reals(corpus, n_train=100, n_eval=60)
    for n in range(4):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    return corpus


@pytest.fixture
def benchmark(corpus: Corpus) -> Benchmark:
    """Two detectors that are done: one that trains, and one that has nothing to learn."""
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    edition = edition_open(benchmark)
    for phases in (["train", "predict"], ["predict"]):
        submission: Submission = SubmissionFactory(benchmark=benchmark, phases=phases)
        run = run_create(submission, edition, seed=0)
        run.steps.filter(phase=Phase.TRAIN).update(timings={"container": TRAIN_S})
        run.steps.filter(phase=Phase.PREDICT, window=0).update(timings={"container": PREDICT_S})
        run.steps.update(state=StepState.SUCCEEDED)
        first = run.steps.get(phase=Phase.PREDICT, window=0)
        for unit in Unit.objects.filter(benchmark=benchmark):
            Prediction.objects.create(state_key=f"{run.pk}", unit=unit, scores=b"", step=first)
        run.state = RunState.SUCCEEDED
        run.save()
    return benchmark


def preview(batch: Batch) -> BenchmarkPreview:
    (found,) = publication_preview(batch).benchmarks
    return found


def test_a_newcomer_joins_the_open_window(benchmark: Benchmark) -> None:
    batch = seal(benchmark.corpus, "new", "2020-09-01")
    found = preview(batch)
    assert (found.place, found.window, found.closes, found.n_detectors) == ("open", 2, False, 2)
    # Both took 6 s for 24 images; the newcomer brings 3 and as many reals.
    assert found.arrival == PhaseCost(
        Phase.PREDICT, 2, 0, pytest.approx(2 * 6 * PREDICT_S / IMAGES), 0.0, None
    )
    assert found.closing == ()
    assert found.warnings == ()
    n_before = Step.objects.count()
    batch_publish(batch)
    assert Step.objects.count() == n_before + 2


def test_one_that_fills_the_window_shows_what_closing_starts(benchmark: Benchmark) -> None:
    publish(benchmark.corpus, "g4", "2020-09-01")
    batch = seal(benchmark.corpus, "g5", "2020-10-01")
    found = preview(batch)
    assert (found.place, found.window, found.closes, found.needs_approval) == ("open", 2, True, False)
    train, predict = found.closing
    assert (train.n_steps, train.n_reused) == (1, 2)
    # Cumulative: three windows of 16 images, where two took a minute.
    assert train.container_s == pytest.approx(TRAIN_S * 3 / 2)
    assert (predict.n_steps, predict.n_reused) == (3, 3)
    batch_publish(batch)
    edition = benchmark.editions.last()
    assert edition is not None
    steps = Step.objects.filter(run__edition=edition)
    assert steps.filter(phase=Phase.TRAIN).count() == train.n_steps + train.n_reused
    assert steps.filter(phase=Phase.PREDICT).count() == predict.n_steps + predict.n_reused


def test_each_seed_is_a_run_of_its_own(benchmark: Benchmark) -> None:
    trains = Submission.objects.get(phases__contains="train")
    for seed, state in ((1, RunState.SUCCEEDED), (2, RunState.FAILED)):
        run = run_create(trains, benchmark.editions.get(), seed=seed)
        run.steps.update(state=StepState.SUCCEEDED)
        run.steps.filter(phase=Phase.TRAIN).update(timings={"container": 2 * TRAIN_S})
        run.state = state
        run.save()
    # An entry that was taken back meets nobody, whatever its runs were.
    left = run_create(SubmissionFactory(benchmark=benchmark), benchmark.editions.get(), seed=0)
    left.steps.update(state=StepState.SUCCEEDED)
    left.state = RunState.SUCCEEDED
    left.save()
    Submission.objects.filter(pk=left.submission_id).update(state="withdrawn")
    publish(benchmark.corpus, "g4", "2020-09-01")
    batch = seal(benchmark.corpus, "g5", "2020-10-01")
    found = preview(batch)
    assert found.n_detectors == 2
    assert found.arrival is not None
    assert found.arrival.n_steps == 3
    train, predict = found.closing
    assert (train.n_steps, train.n_reused) == (2, 4)
    # The second seed took twice as long as the first.
    assert train.container_s == pytest.approx((1 + 2) * TRAIN_S * 3 / 2)
    n_before = Step.objects.filter(unit__isnull=False).count()
    batch_publish(batch)
    assert Step.objects.filter(unit__isnull=False).count() == n_before + found.arrival.n_steps
    edition = benchmark.editions.last()
    assert edition is not None
    steps = Step.objects.filter(run__edition=edition, unit=None)
    assert steps.filter(phase=Phase.TRAIN).count() == train.n_steps + train.n_reused
    assert steps.filter(phase=Phase.PREDICT).count() == predict.n_steps + predict.n_reused


def test_prices_make_it_a_cost(benchmark: Benchmark, settings: LazySettings) -> None:
    settings.CPU_HOUR_COST, settings.GPU_HOUR_COST, settings.CURRENCY = 0.05, 2.0, "CHF"
    benchmark.budgets["predict"] |= {"gpus": 1, "cpus": 4.0}
    benchmark.save()
    batch = seal(benchmark.corpus, "new", "2020-09-01")
    seconds = 2 * 6 * PREDICT_S / IMAGES
    assert publication_preview(batch).currency == "CHF"
    arrival = preview(batch).arrival
    assert arrival is not None
    assert arrival.gpu_s == pytest.approx(seconds)
    assert arrival.cost == pytest.approx(seconds / 3600 * (4 * 0.05 + 2.0))


def test_an_older_generator_waits_and_shows_what_a_new_cut_would_reuse(benchmark: Benchmark) -> None:
    found = preview(seal(benchmark.corpus, "late", "2020-03-15"))
    assert (found.place, found.arrival) == ("waiting", None)
    train, predict = found.closing
    # The first window stays; the second is cut anew, and what follows has no full window.
    assert (train.n_steps, train.n_reused) == (1, 1)
    assert (predict.n_steps, predict.n_reused) == (2, 2)


def test_more_images_reals_and_a_benchmark_without_an_edition(benchmark: Benchmark) -> None:
    BenchmarkFactory(corpus=benchmark.corpus, slug="zz-later", generators_per_window=2)
    again = publication_preview(seal(benchmark.corpus, "g1", "2020-02-01", n_train=2))
    assert [found.place for found in again.benchmarks] == ["republished", "first"]
    train, _ = again.benchmarks[0].closing
    assert (train.n_steps, train.n_reused) == (2, 0)


def test_approval_is_announced(corpus: Corpus) -> None:
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=1, closing=Closing.APPROVAL)
    edition_open(benchmark)
    found = preview(seal(corpus, "new", "2020-09-01"))
    assert (found.closes, found.needs_approval) == (True, True)


def test_few_images_and_missing_reals_are_pointed_out(benchmark: Benchmark) -> None:
    small = preview(seal(benchmark.corpus, "small", "2020-09-01", n_train=1, n_eval=1))
    assert [warning.partition(":")[0] for warning in small.warnings] == [
        "1 images for training; other generators have 4",
        "1 images for evaluation; other generators have 3",
    ]
    large = publication_preview(seal(benchmark.corpus, "large", "2020-10-01", n_eval=60))
    # 60 reals, of which 12 are paired.
    assert [blocker for blocker in large.blockers if "12 more real images" in blocker]
    assert not publication_preview(seal(benchmark.corpus, "fine", "2020-11-01")).blockers


def test_what_can_not_be_published_says_why(benchmark: Benchmark) -> None:
    batch = publish(benchmark.corpus, "new", "2020-09-01")
    assert "only a sealed one" in publication_preview(batch).blockers[0]
    blind = publication_preview(seal(benchmark.corpus, "blind", "2020-11-01", n_eval=0))
    assert "no image for evaluation" in blind.blockers[0]
    leaking = {"n_near": {"across": 1}}
    batch = seal(benchmark.corpus, "other", "2020-10-01", audit={"exceeds": True}, report=leaking)
    found = publication_preview(batch)
    assert found.needs_reason
    assert "both sides" in found.warnings[0]


def test_an_edition_that_is_cut_anew_is_shown_before_it_is_opened(benchmark: Benchmark) -> None:
    same = edition_preview(benchmark)
    assert not same.is_new
    assert not same.can_open
    assert [window.kept for window in same.windows] == [True, True]
    publish(benchmark.corpus, "late", "2020-03-15")
    shown = edition_preview(benchmark)
    cut = [({g.slug for g in w.generators}, w.kept, w.is_open) for w in shown.windows]
    assert cut == [({"g0", "g1"}, True, False), ({"g2", "late"}, False, False), ({"g3"}, False, True)]
    assert shown.can_open
    edition = edition_open(benchmark)
    steps = Step.objects.filter(run__edition=edition)
    for cost in shown.costs:
        assert steps.filter(phase=cost.phase).count() == cost.n_steps + cost.n_reused
    assert not edition_preview(benchmark).is_new


def test_the_first_edition_needs_a_full_window() -> None:
    benchmark = BenchmarkFactory(generators_per_window=2)
    publish(benchmark.corpus, "g0", "2020-01-01")
    assert not edition_preview(benchmark).can_open
    publish(benchmark.corpus, "g1", "2020-02-01")
    assert edition_preview(benchmark).can_open
