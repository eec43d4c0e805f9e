"""Arrivals: where a newcomer goes, who meets it, when a window closes, and what never changes again."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date

import numpy as np
import pytest
from django.db import DatabaseError, close_old_connections, connection, transaction

from leaderboard.models import (
    Action,
    Batch,
    Benchmark,
    Closing,
    Corpus,
    Edition,
    FirstContact,
    Generator,
    PeriodScore,
    Prediction,
    Run,
    RunScore,
    Step,
    Submission,
    Unit,
)
from leaderboard.selectors.steps import steps_of_runs
from leaderboard.services import leases, runs
from leaderboard.services.editions import edition_approve, edition_open
from leaderboard.services.generators import generator_redate, generator_withdraw
from leaderboard.services.publication import batch_publish
from leaderboard.services.scores import rescore_next, run_score, stored_scores, window_score
from leaderboard.services.seeds import submission_add_seed
from leaderboard.store import store
from protocols.contract import Phase
from protocols.errors import DataError, ParticipantError, RequestError
from protocols.states import RunState, StepState
from tests.leaderboard.factories import BenchmarkFactory, CorpusFactory, SubmissionFactory, digest
from tests.leaderboard.images import publish, publish_reals, seal

pytestmark = pytest.mark.django_db

TRAINS = ["train", "predict"]


@pytest.fixture
def corpus() -> Corpus:
    """Four generators, a month apart, and plenty of reals."""
    corpus = CorpusFactory()
    publish_reals(corpus, n_train=200, n_eval=200)
    for n in range(4):
        publish(corpus, f"g{n}", f"2020-0{n + 1}-01")
    return corpus


@pytest.fixture
def benchmark(corpus: Corpus) -> Benchmark:
    return BenchmarkFactory(corpus=corpus, generators_per_window=2)


def enter(benchmark: Benchmark, phases: list[str] | None = None) -> Submission:
    return SubmissionFactory(benchmark=benchmark, phases=phases or TRAINS)


def work(limit: int = 1000) -> list[Step]:
    """Do what is ready, as workers do, with scores drawn from the state and the unit; returns the steps."""
    done = []
    while len(done) < limit and (step := leases.claim_step("worker")):
        with transaction.atomic():
            leases.fence(step)
            if step.phase == Phase.TRAIN:
                runs.step_succeed(step, state_hash=digest(step.key))
            else:
                _predict(step)
        done.append(step)
    return done


def _predict(step: Step) -> None:
    units = list(step.run.edition.units.filter(generator__withdrawn_at=None))
    known = stored_scores(step.key, units)
    missing = [u for u in units if u.pk not in known and step.unit in (None, u)]
    for unit in missing:
        rng = np.random.default_rng(int(digest(f"{step.key} {unit.manifest}")[:8], 16))
        scores = rng.random(unit.n_fakes + unit.n_reals)
        Prediction.objects.create(state_key=step.key, unit=unit, scores=scores.tobytes(), step=step)
    known = stored_scores(step.key, units)
    scored = {unit: known[unit.pk] for unit in units if unit.pk in known}
    window_score(step.run.edition, step.window, scored).save(step.run, step.key)
    runs.step_succeed(step, reused=not missing)
    run_score(step.run)


def arrivals(**filters: object) -> list[Step]:
    return list(Step.objects.filter(unit__isnull=False, **filters).order_by("pk"))


def windows(edition: Edition) -> list[set[str]]:
    return [{g.slug for g in w.generators.all()} for w in edition.windows.all()]


def test_a_newcomer_is_met_once_by_every_active_detector_and_by_nobody_else(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    active = [enter(benchmark), enter(benchmark, ["predict"])]
    for submission in active:
        runs.run_create(submission, benchmark.editions.get(), seed=0)
    failed = runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    Run.objects.filter(pk=failed.pk).update(state=RunState.FAILED)
    failed.steps.update(state=StepState.CANCELLED)
    work()
    n_before = Step.objects.count()
    publish(benchmark.corpus, "new", "2020-09-01")

    steps = arrivals()
    assert Step.objects.count() == n_before + 2
    assert {step.run.submission for step in steps} == set(active)
    assert {(s.phase, s.window, s.state) for s in steps} == {(Phase.PREDICT, 1, StepState.READY)}
    last = {s.run_id: s.key for s in Step.objects.filter(phase=Phase.PREDICT, window=1, unit=None)}
    assert all(step.key == last[step.run_id] for step in steps)

    done = work()
    assert {s.pk for s in done} == {s.pk for s in steps}
    assert not any(Step.objects.get(pk=s.pk).reused for s in done)
    contacts = FirstContact.objects.filter(generator__slug="new")
    assert {c.submission for c in contacts} == set(active)
    assert all(c.prospective and c.window == 1 for c in contacts)
    # It counts in the open window at once.
    assert PeriodScore.objects.filter(run__submission__in=active, window=1, period="next").count() == 2


def test_first_contacts_go_before_everything_else_in_the_queue(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    publish(benchmark.corpus, "new", "2020-09-01")
    step = leases.claim_step("worker")
    assert step is not None
    assert step.unit is not None


def test_a_detector_that_is_still_training_meets_it_with_its_last_checkpoint(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    run = runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work(limit=1)
    publish(benchmark.corpus, "new", "2020-09-01")
    (step,) = arrivals()
    assert step.state == StepState.WAITING
    work()
    step.refresh_from_db()
    run.refresh_from_db()
    assert step.state == StepState.SUCCEEDED
    assert run.state == RunState.SUCCEEDED
    assert FirstContact.objects.get(generator__slug="new").window == 1


def test_the_window_closes_when_it_is_full_and_nothing_runs_twice(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    publish(benchmark.corpus, "g4", "2020-09-01")
    work()
    publish(benchmark.corpus, "g5", "2020-10-01")

    first, second = benchmark.editions.all()
    assert windows(second) == [*windows(first), {"g4", "g5"}]
    assert list(second.windows.values_list("manifest"))[:2] == list(first.windows.values_list("manifest"))
    assert second.opened_at is not None
    assert second.settled_at is None
    done = work()
    # The newcomer, training on the new window, and what old checkpoints had not met; the rest is there.
    ran = Counter((s.phase, s.window, bool(s.unit)) for s in done if not Step.objects.get(pk=s.pk).reused)
    trained = [s for s in done if s.phase == Phase.TRAIN and s.window == 2]
    assert len(trained) == 1
    assert ran[Phase.PREDICT, 1, True] == 1
    assert ran[Phase.PREDICT, 1, False] == 0
    assert ran[Phase.PREDICT, 0, False] == 1
    assert ran[Phase.PREDICT, 2, False] == 1
    pairs = Prediction.objects.values_list("state_key", "unit")
    assert len(set(pairs)) == len(pairs) == 3 * 6
    second.refresh_from_db()
    assert second.settled_at is not None
    assert Action.objects.filter(verb="window closed").count() == 1

    publish(benchmark.corpus, "g6", "2020-11-01")
    (step,) = arrivals(unit__generator__slug="g6")
    assert (step.run.edition, step.window) == (second, 2)


def test_the_cost_of_a_detector_counts_what_it_took_on_earlier_editions(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    first = runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    first.steps.update(timings={"container": 2.0})
    for slug, released in (("g4", "2020-09-01"), ("g5", "2020-10-01")):
        publish(benchmark.corpus, slug, released)
    work()
    second = Run.objects.exclude(pk=first.pk).get()
    second.steps.filter(phase=Phase.TRAIN, window=2).update(timings={"container": 5.0})
    # Four planned steps; the two first contacts of this corpus ran nothing that was timed.
    found = steps_of_runs([first.pk, second.pk])
    assert found[first.pk].cost_s == 4 * 2.0
    assert found[second.pk].cost_s == 4 * 2.0 + 5.0
    assert found[second.pk].n_done == found[second.pk].n_steps == 6


def test_no_later_training_rewrites_a_first_contact(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    publish(benchmark.corpus, "g4", "2020-09-01")
    work()
    kept = list(FirstContact.objects.order_by("pk").values())
    publish(benchmark.corpus, "g5", "2020-10-01")
    work()
    edition_open(benchmark)
    assert list(FirstContact.objects.order_by("pk").values())[: len(kept)] == kept
    # The first window is trained on from the start; every later generator is met once.
    met = Counter(FirstContact.objects.values_list("generator__slug", flat=True))
    assert met == {"g2": 1, "g3": 1, "g4": 1, "g5": 1}


@pytest.mark.parametrize("sql", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("model", [FirstContact, Action])
def test_the_database_refuses_every_change_of_what_is_final(
    benchmark: Benchmark, sql: str, model: type[FirstContact] | type[Action]
) -> None:
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    table = model._meta.db_table
    before = list(model.objects.values())
    assert before
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_never_empty")
    refused = pytest.raises(DatabaseError, match="its rows are final")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.format(table, "id", "id"))
    row = model.objects.first()
    assert row is not None
    for attempt in (
        row.save,
        row.delete,
        model.objects.all().delete,
        lambda: model.objects.update(at=row.at),
    ):
        with pytest.raises(DatabaseError, match="its rows are final"), transaction.atomic():
            attempt()
    assert list(model.objects.values()) == before


def test_a_first_contact_that_fails_is_missing_and_the_run_stays_what_it_is(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    run = runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    publish(benchmark.corpus, "new", "2020-09-01")
    step = leases.claim_step("worker")
    assert step is not None
    with transaction.atomic():
        leases.fence(step)
        runs.step_fail(step, ParticipantError("container_exit", "It ended with 3."))
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert not FirstContact.objects.filter(generator__slug="new").exists()


def test_with_approval_training_waits_for_a_maintainer_and_stops_at_its_budget(corpus: Corpus) -> None:
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2, closing=Closing.APPROVAL)
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    publish(corpus, "g4", "2020-09-01")
    publish(corpus, "g5", "2020-10-01")
    waiting = benchmark.editions.last()
    assert waiting is not None
    assert waiting.opened_at is None
    work()
    assert not Step.objects.filter(run__edition=waiting).exists()
    # Newcomers go on being met, with the checkpoint that there is.
    publish(corpus, "g6", "2020-11-01")
    assert [s.unit.generator.slug for s in work() if s.unit] == ["g6"]
    assert FirstContact.objects.get(generator__slug="g6").window == 1

    edition_approve(waiting, actor="ada", budget_s=10)
    Edition.objects.filter(pk=waiting.pk).update(spent_s=10.5)
    assert work() == []
    edition_approve(waiting, actor="ada", budget_s=1000)
    work()
    waiting.refresh_from_db()
    assert waiting.settled_at is not None
    assert {u.generator.slug for u in waiting.units.all()} == {f"g{n}" for n in range(7)}
    verbs = Action.objects.filter(actor="ada").values_list("verb", flat=True)
    assert {"edition opened", "budget changed"} <= set(verbs)


def test_the_container_seconds_of_training_count_towards_the_budget(benchmark: Benchmark) -> None:
    edition = edition_open(benchmark)
    runs.run_create(enter(benchmark), edition, seed=0)
    step = leases.claim_step("worker")
    assert step is not None
    with transaction.atomic():
        leases.fence(step)
        runs.step_succeed(step, state_hash=digest("s"), timings={"container": 4.5, "stage": 1.0})
    edition.refresh_from_db()
    assert edition.spent_s == 4.5


def test_an_older_generator_waits_and_an_edition_cut_anew_has_its_place(benchmark: Benchmark) -> None:
    first = edition_open(benchmark)
    runs.run_create(enter(benchmark), first, seed=0)
    work()
    publish(benchmark.corpus, "late", "2020-03-15")
    publish(benchmark.corpus, "frontier", "2020-04-01")
    assert arrivals() == []
    assert not Unit.objects.filter(generator__slug__in=["late", "frontier"]).exists()

    second = edition_open(benchmark, actor="ada")
    # Two generators of one day share a slot.
    assert windows(second) == [{"g0", "g1"}, {"g2", "late"}]
    done = work()
    reused = {(s.phase, s.window) for s in done if Step.objects.get(pk=s.pk).reused}
    assert len(second.runs.get().steps.all()) == len(done)
    keys = dict(Step.objects.filter(run__edition=first, phase=Phase.TRAIN).values_list("window", "key"))
    anew = dict(Step.objects.filter(run__edition=second, phase=Phase.TRAIN).values_list("window", "key"))
    assert keys[0] == anew[0]
    assert keys[1] != anew[1]
    assert (Phase.PREDICT, 1) not in reused


def test_more_images_of_a_known_generator_wait_for_an_edition_cut_anew(benchmark: Benchmark) -> None:
    first = edition_open(benchmark)
    runs.run_create(enter(benchmark), first, seed=0)
    work()
    scores = list(RunScore.objects.filter(run__edition=first).order_by("pk").values())
    publish(benchmark.corpus, "g1", "2020-02-01", n_train=3, n_eval=4)
    assert arrivals() == []

    second = edition_open(benchmark)
    old, new = Unit.objects.filter(generator__slug="g1").order_by("version")
    assert (old.version, new.version) == (1, 2)
    assert (old.n_fakes, new.n_fakes) == (3, 7)
    assert old in first.units.all()
    assert new not in first.units.all()
    assert new in second.units.all()
    assert old not in second.units.all()
    work()
    assert list(RunScore.objects.filter(run__edition=first).order_by("pk").values()) == scores
    fakes = store().read_json(second.windows.get(index=0).manifest)["rows"]
    assert sum(slug == "g1" for _, _, slug in fakes) == 7


def test_reals_that_are_short_refuse_the_publication_and_nothing_of_it_stays(corpus: Corpus) -> None:
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    edition_open(benchmark)
    batch = seal(corpus, "large", "2020-09-01", n_eval=400)
    with pytest.raises(DataError, match="not_enough_reals"):
        batch_publish(batch, actor="ada")
    batch.refresh_from_db()
    assert batch.state == "sealed"
    assert not Action.objects.filter(detail__batch=str(batch.pk)).exists()


def test_a_generator_without_evaluation_images_is_refused(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    with pytest.raises(DataError) as caught:
        batch_publish(seal(benchmark.corpus, "blind", "2020-09-01", n_eval=0), actor="ada")
    assert caught.value.code == "batch_empty"


def test_a_batch_beyond_the_audits_bound_needs_a_written_reason(corpus: Corpus) -> None:
    batch = seal(corpus, "biased", "2020-09-01", audit={"exceeds": True})
    with pytest.raises(RequestError) as caught:
        batch_publish(batch, actor="ada", reason="  ")
    assert caught.value.code == "reason_required"
    batch_publish(batch, actor="ada", reason="The generator makes one size only.")
    assert Batch.objects.get(pk=batch.pk).publication_reason == "The generator makes one size only."
    assert Action.objects.filter(verb="batch published", reason__startswith="The generator makes").exists()


def test_a_withdrawal_hides_and_recomputes_and_changes_nothing_else(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    run = runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    contacts = FirstContact.objects.count()
    predictions = Prediction.objects.count()
    generator = Generator.objects.get(slug="g3", corpus=benchmark.corpus)
    with pytest.raises(RequestError):
        generator_withdraw(generator, actor="ada", reason="")
    generator_withdraw(generator, actor="ada", reason="The licence was revoked.")
    run.refresh_from_db()
    assert run.stale_since is not None
    assert rescore_next()
    assert not rescore_next()
    run.refresh_from_db()
    assert run.stale_since is None
    after = RunScore.objects.get(run=run, period="next").value
    # Window 1 holds g2 alone now.
    step = run.steps.get(phase=Phase.PREDICT, window=0, unit=None)
    unit = Unit.objects.get(generator__slug="g2", generator__corpus=benchmark.corpus)
    alone = stored_scores(step.key, [unit])[unit.pk]
    fakes, reals = alone[: unit.n_fakes], alone[unit.n_fakes :]
    assert after == pytest.approx(np.mean(fakes[:, None] > reals[None, :]), abs=1e-12)
    assert FirstContact.objects.count() == contacts
    assert Prediction.objects.count() == predictions
    assert benchmark.editions.count() == 1
    action = Action.objects.get(verb="generator withdrawn")
    assert (action.actor, action.reason) == ("ada", "The licence was revoked.")
    # An edition that is cut anew leaves it out.
    publish(benchmark.corpus, "g4", "2020-09-01")
    assert windows(edition_open(benchmark))[-1] == {"g2", "g4"}


def test_a_withdrawal_in_mid_run_gives_the_scores_of_one_from_the_start(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    gone = Generator.objects.get(slug="g3", corpus=benchmark.corpus)
    submission = enter(benchmark)
    run = runs.run_create(submission, benchmark.editions.get(), seed=0)
    work(limit=2)
    generator_withdraw(gone, actor="ada", reason="The licence was revoked.")
    work()
    while rescore_next():
        pass
    twin = SubmissionFactory(benchmark=benchmark, phases=TRAINS, image_id=submission.image_id)
    other = runs.run_create(twin, benchmark.editions.get(), seed=0)
    work()
    fields = ("window", "period", "roc_auc", "tp", "fp")
    scores = [list(PeriodScore.objects.filter(run=r).values_list(*fields)) for r in (run, other)]
    assert scores[0] == scores[1] != []
    values = [
        list(RunScore.objects.filter(run=r).values_list("period", "value", "low")) for r in (run, other)
    ]
    assert values[0] == values[1] != []


def test_a_corrected_date_moves_a_generator_of_the_open_window_only(
    benchmark: Benchmark,
) -> None:
    edition = edition_open(benchmark)
    runs.run_create(enter(benchmark), edition, seed=0)
    work()
    publish(benchmark.corpus, "new", "2020-09-01")
    work()
    contact = FirstContact.objects.filter(generator__slug="new").values().get()
    generator = Generator.objects.get(slug="new", corpus=benchmark.corpus)
    generator_redate(generator, date(2020, 1, 15), actor="ada", reason="The paper says January.")
    while rescore_next():
        pass
    assert not PeriodScore.objects.filter(window=1, period="next").exists()
    assert FirstContact.objects.filter(generator__slug="new").values().get() == contact
    closed = Generator.objects.get(slug="g0", corpus=benchmark.corpus)
    generator_redate(closed, date(2020, 12, 1), actor="ada", reason="A typing mistake.")
    assert windows(benchmark.editions.get()) == [{"g0", "g1"}, {"g2", "g3"}]
    # And back: it arrives again, but nobody meets it twice.
    generator.refresh_from_db()
    generator_redate(generator, date(2020, 9, 1), actor="ada", reason="It was September after all.")
    assert len(arrivals()) == 1
    assert Action.objects.filter(verb="release date corrected").count() == 3


def test_a_waiting_generator_arrives_when_its_date_is_corrected(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    publish(benchmark.corpus, "late", "2020-03-15")
    assert arrivals() == []
    generator = Generator.objects.get(slug="late", corpus=benchmark.corpus)
    generator_redate(generator, date(2020, 10, 1), actor="ada", reason="It was the preprint's date.")
    assert [s.unit.generator.slug for s in work() if s.unit] == ["late"]


def test_generators_of_one_day_share_a_slot_of_the_open_window(benchmark: Benchmark) -> None:
    edition_open(benchmark)
    publish(benchmark.corpus, "twin-a", "2020-09-01")
    publish(benchmark.corpus, "twin-b", "2020-09-01")
    assert benchmark.editions.count() == 1
    publish(benchmark.corpus, "next", "2020-10-01")
    last = benchmark.editions.last()
    assert last is not None
    assert windows(last)[-1] == {"twin-a", "twin-b", "next"}


def test_every_seed_meets_a_newcomer_and_has_a_first_contact_of_its_own(benchmark: Benchmark) -> None:
    edition = edition_open(benchmark)
    trains, draws = enter(benchmark), enter(benchmark, ["predict"])
    for submission in (trains, draws):
        runs.run_create(submission, edition, seed=0)
        submission_add_seed(submission, 3, actor="ada")
    work()
    publish(benchmark.corpus, "new", "2020-09-01")
    assert len(arrivals()) == 4
    work()
    contacts = FirstContact.objects.filter(generator__slug="new")
    assert {(contact.submission, contact.seed) for contact in contacts} == {
        (submission, seed) for submission in (trains, draws) for seed in (0, 3)
    }
    assert len({contact.state_key for contact in contacts}) == 4
    # One that is added later meets it as well, with a checkpoint that has not learnt from it.
    submission_add_seed(trains, 4, actor="ada")
    work()
    late = FirstContact.objects.get(generator__slug="new", seed=4)
    assert (late.window, late.prospective) == (1, True)


@pytest.mark.django_db(transaction=True)
def test_two_maintainers_publish_at_once(corpus: Corpus) -> None:
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    edition_open(benchmark)
    runs.run_create(enter(benchmark), benchmark.editions.get(), seed=0)
    work()
    batches = [seal(corpus, slug, f"2020-{month}-01") for slug, month in (("a", "09"), ("b", "10"))]
    barrier = threading.Barrier(2)
    faults: list[Exception] = []

    def publisher(batch: Batch) -> None:
        try:
            barrier.wait()
            batch_publish(batch, actor="ada")
        except Exception as error:
            faults.append(error)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=publisher, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(arrivals()) == 2
    last = benchmark.editions.last()
    assert last is not None
    assert windows(last)[-1] == {"a", "b"}
    used = [h for unit in benchmark.units.all() for h in store().read_json(unit.manifest)["reals"]]
    assert len(used) == len(set(used))
    work()
    assert not Step.objects.exclude(state=StepState.SUCCEEDED).exists()
