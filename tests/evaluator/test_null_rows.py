"""Null rows: what they score, when they are computed, and that they are nobody's work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import close_old_connections, connection, transaction

from evaluator import worker
from evaluator.null_rows import MAX_A_CLASS, _metadata, _thinned, null_row_next
from evaluator.tasks import _null_row_one
from leaderboard.models import (
    Benchmark,
    BoardTouch,
    Corpus,
    Edition,
    FirstContact,
    Image,
    NullRow,
    PeriodScore,
    Prediction,
    Run,
    RunScore,
    Step,
    Submission,
    Team,
    UnitScore,
    User,
)
from leaderboard.selectors.desk.arrivals import arrivals as desk_arrivals
from leaderboard.selectors.preview import edition_preview
from leaderboard.services import leases
from leaderboard.services.editions import edition_open
from leaderboard.services.generators import generator_withdraw
from leaderboard.services.null_rows import null_row_claim, null_row_write, null_rows_waiting
from leaderboard.services.runs import run_create
from leaderboard.services.scores import rescore_next
from leaderboard.services.sweep import waiting_count
from leaderboard.store import store
from protocols.plan import EMPTY_STATE, state_key, train_key
from protocols.states import LIVE_STEP, RunState, StepState
from tests.leaderboard.factories import BenchmarkFactory, CorpusFactory, SubmissionFactory, digest
from tests.leaderboard.images import publish, publish_reals

pytestmark = pytest.mark.django_db

N_TRAIN, N_EVAL = 15, 5
# Reals are in between.
NARROW, NORMAL, WIDE = 4, 8, 12


@pytest.fixture
def make() -> Callable[..., Benchmark]:
    def make(**fields: Any) -> Benchmark:
        """Two windows of two generators; all files are alike, but fakes are narrower, and later wider."""
        corpus = CorpusFactory()
        publish_reals(corpus, n_train=200, n_eval=60)
        for n, width in enumerate((NARROW, NARROW, WIDE, WIDE)):
            arrive(corpus, f"g{n}", f"2020-0{n + 1}-01", width)
        benchmark: Benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2, **fields)
        edition_open(benchmark)
        return benchmark

    return make


@pytest.fixture
def benchmark(make: Callable[..., Benchmark]) -> Benchmark:
    return make()


def arrive(corpus: Corpus, slug: str, released: str, width: int = WIDE) -> None:
    publish(corpus, slug, released, n_train=N_TRAIN, n_eval=N_EVAL)
    Image.objects.filter(batch__generator__slug=slug).update(width=width)


def compute() -> int:
    """Compute what is missing, as a worker does; returns how many pieces there were."""
    n = 0
    while null_row_next():
        n += 1
    return n


def run_of(null_row: str, edition: Edition | None = None) -> Run:
    runs = Run.objects.filter(submission__null_row=null_row)
    return runs.get(edition=edition) if edition else runs.get()


def matrix(run: Run) -> dict[tuple[int, str], float | None]:
    """AUROC by window and generator."""
    rows = UnitScore.objects.filter(run=run).values_list("window", "unit__generator__slug", "roc_auc")
    return {(window, slug): value for window, slug, value in rows}


def everything() -> dict[str, int]:
    models = (User, Team, Submission, Run, Step, Prediction, UnitScore, PeriodScore, RunScore, FirstContact)
    return {model.__name__: model._default_manager.count() for model in models}


def test_an_edition_gets_its_null_rows_once(benchmark: Benchmark) -> None:
    assert null_rows_waiting() == 2
    assert waiting_count() == 2
    BoardTouch.objects.all().delete()
    assert compute() == 2
    assert waiting_count() == 0
    assert BoardTouch.objects.filter(benchmark=benchmark).exists()
    rows = Submission.objects.order_by("null_row")
    assert [(row.null_row, row.name) for row in rows] == [("constant",) * 2, ("metadata",) * 2]
    for row in rows:
        run = row.runs.get()
        assert (row.state, row.visibility, row.archive, row.image_id) == ("accepted", "public", "", "")
        assert run.state == RunState.SUCCEEDED
        assert [(s.phase, s.window, s.state) for s in run.steps.all()] == [
            ("predict", 0, StepState.SUCCEEDED),
            ("predict", 1, StepState.SUCCEEDED),
        ]
    before = everything()
    assert compute() == 0
    assert everything() == before


def test_the_constant_predicts_a_unit_once_for_all_windows(benchmark: Benchmark) -> None:
    compute()
    run = run_of(NullRow.CONSTANT)
    assert set(matrix(run).values()) == {0.5}
    (key,) = set(run.steps.values_list("key", flat=True))
    assert key == state_key(image_id="null-row:constant:1", protocol_version=1, state=EMPTY_STATE, seed=0)
    assert [step.reused for step in run.steps.all()] == [False, True]
    predictions = Prediction.objects.filter(state_key=key)
    assert [p.step and p.step.window for p in predictions] == [0] * 4
    assert {np.frombuffer(p.scores, "<f8").tobytes() for p in predictions} == {
        np.full(2 * N_EVAL, 0.5).tobytes()
    }
    assert RunScore.objects.get(run=run, period="next").value == 0.5


def test_metadata_is_fitted_to_what_is_mounted_and_to_nothing_else(make: Callable[..., Benchmark]) -> None:
    make()
    compute()
    # At window 0 what is wide looks like a real; at window 1 both kinds of fakes are in the cumulative list.
    assert matrix(run_of(NullRow.METADATA)) == {
        (0, "g0"): 1.0,
        (0, "g1"): 1.0,
        (0, "g2"): 0.5,
        (0, "g3"): 0.5,
        (1, "g0"): 1.0,
        (1, "g1"): 1.0,
        (1, "g2"): 1.0,
        (1, "g3"): 1.0,
    }


@pytest.mark.parametrize("mode", ["cumulative", "continual"])
def test_a_key_of_metadata_names_all_that_it_is_fitted_to(make: Callable[..., Benchmark], mode: str) -> None:
    make(training_mode=mode)
    compute()
    run = run_of(NullRow.METADATA)
    first, second = run.edition.windows.values_list("manifest", flat=True)
    facts: dict[str, Any] = {"image_id": "null-row:metadata:1", "protocol_version": 1, "seed": 0}
    fitted = train_key(
        parent_state=EMPTY_STATE,
        manifests=[second, first] if mode == "cumulative" else [second],
        window=1,
        **facts,
    )
    assert run.steps.get(window=1).key == state_key(state=fitted, **facts)


def test_where_training_is_continual_metadata_has_no_memory(make: Callable[..., Benchmark]) -> None:
    make(training_mode="continual")
    compute()
    found = matrix(run_of(NullRow.METADATA))
    assert (found[1, "g0"], found[1, "g2"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("field", "of_fakes"),
    [("width", 9), ("height", 9), ("source_bytes", 2), ("source_format", "GIF"), ("jpeg_quality", 90)],
)
def test_each_fact_of_the_files_tells(benchmark: Benchmark, field: str, of_fakes: object) -> None:
    Image.objects.update(width=NORMAL)
    Image.objects.filter(batch__generator__isnull=False).update(**{field: of_fakes})
    compute()
    assert set(matrix(run_of(NullRow.METADATA)).values()) == {1.0}


def test_files_that_are_alike_tell_nothing(benchmark: Benchmark) -> None:
    Image.objects.update(width=NORMAL)
    compute()
    assert set(matrix(run_of(NullRow.METADATA)).values()) == {0.5}


def test_the_classifier_is_the_same_every_time(benchmark: Benchmark) -> None:
    for image in Image.objects.all():
        rng = np.random.default_rng(image.pk)
        Image.objects.filter(pk=image.pk).update(
            width=rng.integers(8, 99), height=rng.integers(8, 99), source_bytes=rng.integers(100, 9999)
        )
    edition = benchmark.editions.get()
    units = list(edition.units.all())
    first, again = _metadata(edition)(1, units), _metadata(edition)(1, units)
    assert all(np.array_equal(first[unit], again[unit]) for unit in units)
    assert len({value for unit in units for value in first[unit]}) > 10


def test_of_many_training_images_the_same_ones_are_looked_at() -> None:
    n = MAX_A_CLASS + 500
    labels = {digest(i): i % 2 for i in range(2 * n)}
    kept = _thinned([dict(list(labels.items())[:n]), dict(list(labels.items())[n:])])
    assert kept == _thinned([dict(reversed(labels.items()))])
    for label in (0, 1):
        own = sorted(h for h, other in labels.items() if other == label)
        assert [h for h, other in kept.items() if other == label] == own[:MAX_A_CLASS]


def test_a_newcomer_is_met_by_the_last_checkpoints_prospectively(benchmark: Benchmark) -> None:
    compute()
    contacts = FirstContact.objects.filter(submission__null_row="metadata")
    assert {(c.generator.slug, c.window, c.prospective) for c in contacts} == {
        ("g2", 0, False),
        ("g3", 0, False),
    }
    n_before = Prediction.objects.count()
    arrive(benchmark.corpus, "new", "2020-09-01")
    assert waiting_count() == 2
    assert compute() == 2
    assert Prediction.objects.count() == n_before + 2
    for null_row, value in (("constant", 0.5), ("metadata", 1.0)):
        run = run_of(null_row)
        contact = FirstContact.objects.get(submission=run.submission, generator__slug="new")
        assert (contact.window, contact.prospective, contact.roc_auc) == (1, True, value)
        assert [slug for window, slug in matrix(run) if window == 0] == ["g0", "g1", "g2", "g3"]
        assert matrix(run)[1, "new"] == value
        assert PeriodScore.objects.filter(run=run, window=1, period="next").exists()
        assert set(run.steps.values_list("unit", flat=True)) == {None}


def test_the_next_edition_computes_only_what_is_new(benchmark: Benchmark) -> None:
    compute()
    first = benchmark.editions.get()
    known = set(Prediction.objects.values_list("pk", flat=True))
    for slug, month in (("h0", "09"), ("h1", "10")):
        arrive(benchmark.corpus, slug, f"2020-{month}-01")
    second = benchmark.editions.get(number=2)
    # The newcomers on the first edition, and the second edition, for each of two rows.
    assert compute() == 4
    keys = dict(run_of(NullRow.METADATA, second).steps.values_list("window", "key"))
    assert [keys[0], keys[1]] == list(run_of(NullRow.METADATA, first).steps.values_list("key", flat=True))
    new = Prediction.objects.exclude(pk__in=known)
    assert {
        (window, slug)
        for window, key in keys.items()
        for slug in new.filter(state_key=key).values_list("unit__generator__slug", flat=True)
    } == {(0, "h0"), (0, "h1"), (1, "h0"), (1, "h1")} | {(2, u.generator.slug) for u in second.units.all()}
    assert RunScore.objects.get(run=run_of(NullRow.METADATA, second), period="next").n_windows == 2


def test_an_edition_that_waits_for_approval_has_none(make: Callable[..., Benchmark]) -> None:
    benchmark = make(closing="approval")
    compute()
    for slug, month in (("h0", "09"), ("h1", "10")):
        arrive(benchmark.corpus, slug, f"2020-{month}-01")
    compute()
    assert [run.edition.number for run in Run.objects.filter(submission__null_row="constant")] == [1]


def test_a_withdrawal_has_them_scored_anew(benchmark: Benchmark) -> None:
    compute()
    edition = benchmark.editions.get()
    before = PeriodScore.objects.get(run=run_of(NullRow.METADATA), window=0, period="past")
    generator_withdraw(benchmark.corpus.generators.get(slug="g0"), actor="ada", reason="licence")
    assert waiting_count() == 2
    while rescore_next():
        pass
    assert compute() == 0
    after = PeriodScore.objects.get(run=run_of(NullRow.METADATA, edition), window=0, period="past")
    assert (before.tp + before.fn, after.tp + after.fn) == (2 * N_EVAL, N_EVAL)


def test_a_withdrawal_in_mid_work_makes_it_begin_again(benchmark: Benchmark) -> None:
    with transaction.atomic():
        missing = null_row_claim()
        assert missing is not None
        scores = {w: {u: np.full(2 * N_EVAL, 0.5) for u in units} for w, units in missing.wanted().items()}
        generator_withdraw(benchmark.corpus.generators.get(slug="g0"), actor="ada", reason="licence")
        null_row_write(missing, scores)
    assert not Run.objects.exists()
    assert compute() == 2
    assert {slug for _, slug in matrix(run_of(NullRow.CONSTANT))} == {"g1", "g2", "g3"}


def test_what_fails_half_way_leaves_nothing_behind(benchmark: Benchmark) -> None:
    assert null_row_next()
    before = everything()
    manifest = store().path(benchmark.editions.get().windows.get(index=1).manifest)
    aside = manifest.rename(manifest.with_suffix(".aside"))
    with pytest.raises(FileNotFoundError):
        null_row_next()
    assert everything() == before
    # The worker goes on to the steps of detectors.
    assert not _null_row_one()
    aside.rename(manifest)
    assert compute() == 1
    assert len(matrix(run_of(NullRow.METADATA))) == 8


def test_a_worker_that_is_to_end_leaves_it_to_another(benchmark: Benchmark) -> None:
    worker.stopping.set()
    try:
        assert not null_row_next()
    finally:
        worker.stopping.clear()
    assert not Submission.objects.exists()
    assert compute() == 2


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_computes_them(benchmark: Benchmark) -> None:
    has_claimed, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert null_row_claim() is not None
            has_claimed.set()
            may_end.wait(30)
        close_old_connections()
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert has_claimed.wait(30)
        assert not null_row_next()
        # What somebody else is at is still to be done, should they die.
        assert null_rows_waiting() == 2
    finally:
        may_end.set()
        thread.join()
    assert compute() == 2


def test_they_are_nobodys_work(benchmark: Benchmark) -> None:
    edition = benchmark.editions.get()
    compute()
    assert leases.claim_step("worker") is None
    assert not Step.objects.filter(state__in=LIVE_STEP).exists()
    run_create(SubmissionFactory(benchmark=benchmark), edition, seed=0)
    arrive(benchmark.corpus, "new", "2020-09-01")
    compute()
    steps = Step.objects.filter(unit__isnull=False)
    assert [step.run.submission.null_row for step in steps] == [""]
    # The desk counts detectors, of which none has met the newcomer yet.
    assert edition_preview(benchmark).n_detectors == 1
    (newcomer,) = (row for row in desk_arrivals() if row.unit.generator.slug == "new")
    assert (newcomer.n_steps, newcomer.n_contacts) == (1, 0)
    # The detector's is the only run that an edition begins with, and the only one to wait for.
    arrive(benchmark.corpus, "newer", "2020-10-01")
    second = benchmark.editions.get(number=2)
    assert [run.submission.null_row for run in second.runs.all()] == [""]
    compute()
    second.refresh_from_db()
    assert second.settled_at is None


def test_their_account_is_closed_and_its_name_nobody_can_have(benchmark: Benchmark) -> None:
    compute()
    (owner,) = {row.owner for row in Submission.objects.select_related("owner")}
    (team,) = {row.team for row in Submission.objects.select_related("team")}
    assert not owner.is_active
    assert not owner.has_usable_password()
    assert owner.email == ""
    assert not team.memberships.exists()
