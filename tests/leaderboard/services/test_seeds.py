"""Further seeds of an entry: who gets one, what refuses it, and what becomes of them all."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction

from leaderboard.models import Corpus, Event, NullRow, Run, Step, Submission
from leaderboard.selectors.quotas import quotas
from leaderboard.selectors.seeds import planned_runs, seed_offer
from leaderboard.selectors.submissions import submission_report
from leaderboard.services import runs
from leaderboard.services.editions import edition_open
from leaderboard.services.seeds import submission_add_seed
from leaderboard.services.submissions import (
    submission_attach,
    submission_cancel,
    submission_delete,
    submission_withdraw,
)
from protocols.contract import Phase
from protocols.errors import RequestError
from protocols.states import LIVE_RUN, RunState, StepState, SubmissionState
from tests.leaderboard.factories import (
    BenchmarkFactory,
    CorpusFactory,
    EditionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UploadFactory,
)
from tests.leaderboard.images import publish, publish_reals

pytestmark = pytest.mark.django_db


def entry(run_state: RunState = RunState.SUCCEEDED, **fields: Any) -> Submission:
    """An entry with one run, of seed 0, on the newest edition of its benchmark."""
    submission: Submission = SubmissionFactory(**fields)
    edition = EditionFactory(benchmark=submission.benchmark, windows=2)
    RunFactory(submission=submission, edition=edition, state=run_state)
    return submission


def code(submission: Submission, seed: int = 1) -> str:
    n_before = Run.objects.count()
    with pytest.raises(RequestError) as raised:
        submission_add_seed(submission, seed, actor="ada")
    assert Run.objects.count() == n_before
    return raised.value.code


def seeds(submission: Submission) -> list[tuple[int, int]]:
    return list(submission.runs.order_by("edition__number", "seed").values_list("edition__number", "seed"))


def test_an_entry_runs_again_with_another_seed_and_its_own_keys() -> None:
    submission = entry()
    first = submission.runs.get()
    run = submission_add_seed(submission, 7, actor="ada")
    assert (run.seed, run.edition, run.state) == (7, first.edition, RunState.QUEUED)
    steps = list(run.steps.all())
    assert [(step.phase, step.window) for step in steps] == [
        ("train", 0),
        ("predict", 0),
        ("train", 1),
        ("predict", 1),
    ]
    assert steps[0].state == StepState.READY
    other = submission_add_seed(submission, 8, actor="ada").steps.first()
    assert other is not None
    assert steps[0].key != other.key
    asked = Event.objects.get(run=run)
    assert (asked.old, asked.new, asked.actor) == ("", "queued", "ada")


def test_a_detector_that_does_not_train_may_be_seeded_too() -> None:
    submission = entry(phases=["predict"])
    one, two = (submission_add_seed(submission, seed, actor="ada") for seed in (1, 2))
    # The same empty state under another seed is another prediction.
    assert one.steps.get(window=0).key != two.steps.get(window=0).key


def test_a_seed_that_has_a_run_is_refused_whatever_became_of_it() -> None:
    submission = entry()
    assert code(submission, 0) == "conflict"
    submission_add_seed(submission, 1, actor="ada")
    submission_cancel(submission, actor="ada")
    assert submission.runs.get(seed=1).state == RunState.CANCELLED
    assert code(submission, 1) == "conflict"


@pytest.mark.parametrize(
    "state", [SubmissionState.TRIAL, SubmissionState.REJECTED, SubmissionState.WITHDRAWN]
)
def test_what_is_not_accepted_is_refused(state: SubmissionState) -> None:
    assert code(entry(state=state)) == "illegal_transition"


def test_null_rows_and_entries_without_archive_are_refused() -> None:
    assert code(entry(null_row=NullRow.CONSTANT)) == "illegal_transition"
    assert code(entry(archive="")) == "illegal_transition"


def test_an_entry_needs_a_run_on_the_newest_edition() -> None:
    assert code(SubmissionFactory()) == "illegal_transition", "there is no edition"
    submission = entry()
    EditionFactory(benchmark=submission.benchmark, windows=2)
    assert code(submission) == "illegal_transition", "it has run on an earlier one alone"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_an_entry_whose_runs_all_came_to_nothing_draws_no_other_seed(state: RunState) -> None:
    assert code(entry(state)) == "illegal_transition"


def test_an_edition_that_waits_for_approval_is_not_run_on() -> None:
    submission = entry()
    present = submission.runs.get().edition
    EditionFactory(benchmark=submission.benchmark, windows=3, opened_at=None, settled_at=None)
    assert submission_add_seed(submission, 1, actor="ada").edition == present


def test_failed_and_cancelled_seeds_count_towards_the_most(settings: LazySettings) -> None:
    settings.MAX_SEEDS = 3
    submission = entry()
    edition = submission.runs.get().edition
    RunFactory(submission=submission, edition=edition, seed=1, state=RunState.FAILED)
    submission_add_seed(submission, 2, actor="ada")
    assert code(submission, 3) == "seed_limit"
    assert seed_offer(submission) is None


def test_a_seed_that_came_to_nothing_on_an_earlier_edition_is_no_further_one(settings: LazySettings) -> None:
    settings.MAX_SEEDS = 2
    submission = entry()
    RunFactory(submission=submission, edition=submission.runs.get().edition, seed=1, state=RunState.CANCELLED)
    newest = EditionFactory(benchmark=submission.benchmark, windows=2)
    RunFactory(submission=submission, edition=newest)
    assert code(submission, 2) == "seed_limit"
    assert submission_add_seed(submission, 1, actor="ada").edition == newest


def test_each_run_counts_towards_the_quota_of_the_team() -> None:
    submission = entry(RunState.RUNNING)
    team = submission.team
    team.max_active_runs = 3
    team.save()
    assert quotas(team).active_runs.used == 1
    submission_add_seed(submission, 1, actor="ada")
    SubmissionFactory(owner=submission.owner, state=SubmissionState.TRIAL)
    SubmissionFactory(owner=submission.owner, state=SubmissionState.REJECTED)
    entry(RunState.RUNNING)
    assert quotas(team).active_runs.used == 3
    assert code(submission, 2) == "quota_runs"
    draft = SubmissionFactory(owner=submission.owner, draft=True)
    with pytest.raises(RequestError, match="3 checks and runs under way; 3 are allowed") as raised:
        submission_attach(draft, UploadFactory(owner=submission.owner), actor=submission.owner)
    assert raised.value.code == "quota_runs"
    submission_cancel(submission, actor="ada")
    submission.runs.filter(seed=0).update(state=RunState.SUCCEEDED)
    assert quotas(team).active_runs.used == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("refusal", ["conflict", "quota_runs"])
def test_of_two_at_once_one_makes_the_run(refusal: str) -> None:
    """The same seed of one entry, or one of each of a team that has room for one."""
    first = entry()
    second = entry(owner=first.owner) if refusal == "quota_runs" else first
    first.team.max_active_runs = 2 if refusal == "conflict" else 1
    first.team.save()
    together = threading.Barrier(2)
    told: list[str] = []

    def ask(submission: Submission) -> None:
        try:
            together.wait(10)
            told.append(submission_add_seed(submission, 1, actor="ada").state)
        except RequestError as error:
            told.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(submission,)) for submission in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told) == sorted([refusal, "queued"])
    assert Run.objects.filter(seed=1).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_seed_waits_for_an_edition_that_opens_and_runs_on_it() -> None:
    """Else the new edition would not know of the seed, and the seed not of the edition."""
    corpus = timeline(2)
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    submission = SubmissionFactory(benchmark=benchmark)
    edition_open(benchmark)
    publish(corpus, "g2", "2020-03-01")

    def add() -> None:
        try:
            submission_add_seed(submission, 1, actor="ada")
        finally:
            connection.close()

    thread = threading.Thread(target=add)
    with transaction.atomic():
        publish(corpus, "g3", "2020-04-01")
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(30)
    assert seeds(submission) == [(1, 0), (2, 0), (2, 1)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["withdraw", "seed"])
def test_nothing_of_an_entry_runs_that_is_withdrawn_at_the_same_time(first: str) -> None:
    submission = entry()
    acts = {
        "withdraw": lambda: submission_withdraw(Submission.objects.get(pk=submission.pk), actor="ada"),
        "seed": lambda: submission_add_seed(submission, 1, actor="ada"),
    }
    refused: list[str] = []

    def act() -> None:
        try:
            acts["seed" if first == "withdraw" else "withdraw"]()
        except RequestError as error:
            refused.append(error.code)
        finally:
            connection.close()

    thread = threading.Thread(target=act)
    with transaction.atomic():
        acts[first]()
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(30)
    assert refused == (["illegal_transition"] if first == "withdraw" else [])
    assert not submission.runs.filter(state__in=LIVE_RUN).exists()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.WITHDRAWN


def timeline(n: int) -> Corpus:
    corpus = CorpusFactory()
    publish_reals(corpus)
    for number in range(n):
        publish(corpus, f"g{number}", f"2020-0{number + 1}-01")
    return corpus


def test_a_new_edition_runs_every_seed_but_those_that_came_to_nothing() -> None:
    corpus = timeline(2)
    benchmark = BenchmarkFactory(corpus=corpus, generators_per_window=2)
    submission, failed = (SubmissionFactory(benchmark=benchmark, seed=seed) for seed in (4, 5))
    withdrawn = SubmissionFactory(benchmark=benchmark)
    edition_open(benchmark)
    for seed, state in ((1, "succeeded"), (2, "failed"), (3, "cancelled"), (6, "running")):
        submission_add_seed(submission, seed, actor="ada")
        submission.runs.filter(seed=seed).update(state=state)
    submission_add_seed(withdrawn, 1, actor="ada")
    submission_withdraw(withdrawn, actor="ada")
    failed.runs.update(state=RunState.FAILED)
    assert {(entry.pk, seed) for entry, seed in planned_runs(benchmark)} == {
        (submission.pk, 1),
        (submission.pk, 4),
        (submission.pk, 6),
        (failed.pk, 5),
    }
    publish(corpus, "g2", "2020-03-01")
    publish(corpus, "g3", "2020-04-01")
    assert [seed for number, seed in seeds(submission) if number == 2] == [1, 4, 6]
    # The edition is shown when all seeds that it began with have ended.
    newest = benchmark.editions.last()
    assert newest is not None
    newest.runs.exclude(seed=6).update(state=RunState.CANCELLED)
    last = newest.runs.get(seed=6)
    runs.run_cancel(last, actor="ada")
    newest.refresh_from_db()
    assert newest.settled_at is not None
    # A seed of an earlier edition stays, though its run on this one was cancelled.
    assert (submission.pk, 6) in {(entry.pk, seed) for entry, seed in planned_runs(benchmark)}


def test_a_seed_that_is_added_later_does_not_hold_up_the_board() -> None:
    submission = entry(RunState.RUNNING)
    edition = submission.runs.get().edition
    edition.settled_at = None
    edition.save()
    first = submission.runs.get()
    Run.objects.filter(pk=first.pk).update(created_at=edition.opened_at)
    submission_add_seed(submission, 1, actor="ada")
    runs.run_cancel(first, actor="ada")
    edition.refresh_from_db()
    assert edition.settled_at is not None


def test_cancelling_and_withdrawing_end_all_seeds_and_deleting_frees_them() -> None:
    submission = entry()
    run = submission_add_seed(submission, 1, actor="ada")
    with pytest.raises(RequestError, match="cancel it first"):
        submission_delete(submission, actor="ada")
    submission_cancel(submission, actor="ada")
    run.refresh_from_db()
    submission.refresh_from_db()
    assert (run.state, submission.state) == (RunState.CANCELLED, SubmissionState.ACCEPTED)
    again = submission_add_seed(submission, 2, actor="ada")
    submission_withdraw(submission, actor="ada")
    again.refresh_from_db()
    assert again.state == RunState.CANCELLED
    StepFactory(run=run, window=5, state=StepState.SUCCEEDED, log_tail="loss 0.1")
    assert submission_delete(submission, actor="ada") is False
    assert not Step.objects.exclude(log_tail="").exists()
    assert Run.objects.filter(submission=submission).count() == 3


def test_the_page_stays_done_when_a_further_seed_fails() -> None:
    submission = entry()
    RunFactory(submission=submission, edition=submission.runs.get().edition, seed=1, state=RunState.FAILED)
    report = submission_report(submission.pk, submission.owner)
    assert report is not None
    assert [stage.standing for stage in report.stages] == ["done"] * 4
    submission.runs.update(state=RunState.FAILED)
    report = submission_report(submission.pk, submission.owner)
    assert report is not None
    assert report.stages[-1].standing == "failed"


def test_what_another_seed_takes_is_what_the_first_took() -> None:
    submission = entry(RunState.RUNNING)
    running = submission.runs.get()
    offer = seed_offer(submission)
    assert offer is not None
    assert (offer.seeds, offer.next_seed, offer.cost_s) == ((0,), 1, None)
    done = RunFactory(submission=submission, edition=running.edition, seed=1, state=RunState.SUCCEEDED)
    for run, seconds in ((running, 2.0), (done, 30.0)):
        StepFactory(run=run, phase=Phase.TRAIN, state=StepState.SUCCEEDED, timings={"container": seconds})
    offer = seed_offer(submission)
    assert offer is not None
    assert (offer.measured, offer.cost_s, offer.is_whole, offer.next_seed) == (done, 30.0, True, 2)
    assert (offer.active_runs.used, offer.active_runs.limit) == (1, 20)
