"""The order of the queue: arrivals first, then teams in turn."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone

from leaderboard.models import Run, Step, Team, User
from leaderboard.selectors.waiting import ready_queue
from leaderboard.services import leases, runs
from protocols.contract import Phase
from protocols.states import StepState, SubmissionState
from tests.leaderboard.factories import (
    EditionFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UnitFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def entries_of(owner: User, n: int, edition: object, *, n_steps: int = 4) -> list[Run]:
    """``n`` runs of as many training steps each: the first is ready, each other follows its parent."""
    found = []
    for _ in range(n):
        submission = SubmissionFactory(owner=owner, benchmark=edition.benchmark)
        run = RunFactory(submission=submission, edition=edition, state="queued", started_at=None)
        for window in range(n_steps):
            state = StepState.READY if window == 0 else StepState.WAITING
            StepFactory(run=run, phase=Phase.TRAIN, window=window, state=state, key=f"{run.pk} {window}")
        found.append(run)
    return found


def finish(step: Step) -> None:
    with transaction.atomic():
        leases.fence(step)
        runs.step_succeed(step, state_hash=f"{step.pk}")


def work(n_workers: int, at_most: int = 1000) -> list[Step]:
    """Steps in the order in which ``n_workers`` workers begin them, each as long as the other."""
    begun: list[Step] = []
    held: list[Step] = []
    while len(begun) < at_most:
        while len(held) < n_workers and (step := leases.claim_step(f"w{len(held)}")):
            begun.append(step)
            held.append(step)
        if not held:
            break
        finish(held.pop(0))
    return begun


@pytest.mark.parametrize("n_workers", [1, 4])
def test_one_teams_hundred_runs_do_not_hold_up_anothers_first(
    n_workers: int, record_property: pytest.FixtureRequest
) -> None:
    edition = EditionFactory(windows=4)
    crowd, lone = UserFactory(username="crowd"), UserFactory(username="lone")
    entries_of(crowd, 100, edition)
    # The crowd is being served when the other one comes.
    first = [leases.claim_step(f"w{n}") for n in range(n_workers)]
    (run,) = entries_of(lone, 1, edition)
    for step in first:
        finish(step)
    begun = work(n_workers, at_most=4 * (n_workers + 1))
    places = [place for place, step in enumerate(begun, start=1) if step.run_id == run.pk]
    record_property("places of the lone run's steps", places)
    # It begins with the next free worker, and each next step as soon as the one before has ended.
    assert places[0] == 1
    assert len(places) == 4
    assert all(later - earlier <= n_workers + 1 for earlier, later in pairwise(places))


def test_a_team_that_is_alone_has_every_worker() -> None:
    edition = EditionFactory(windows=4)
    entries_of(UserFactory(), 3, edition)
    assert [leases.claim_step("w") is not None for _ in range(4)] == [True, True, True, False]


def test_three_teams_take_turns() -> None:
    edition = EditionFactory(windows=4)
    people = [UserFactory(username=name) for name in ("ada", "bo", "cy")]
    for person in people:
        entries_of(person, 2, edition, n_steps=1)
    order = [step.run.submission.team.slug for step in work(1)]
    assert order == ["ada", "bo", "cy", "ada", "bo", "cy"]


def test_first_contacts_go_before_all_else() -> None:
    edition = EditionFactory(windows=2)
    (run,) = entries_of(UserFactory(), 1, edition, n_steps=1)
    Team.objects.update(served_at=timezone.now())
    other = RunFactory(edition=edition, submission__benchmark=edition.benchmark, state="succeeded")
    met = StepFactory(
        run=other,
        phase=Phase.PREDICT,
        window=1,
        unit=UnitFactory(benchmark=edition.benchmark),
        ready_at=timezone.now() + timedelta(hours=1),
    )
    assert [step.pk for step in ready_queue()] == [met.pk, run.steps.get().pk]


def test_trials_are_taken_in_turn_too() -> None:
    edition = EditionFactory(windows=1)
    crowd, lone = UserFactory(username="crowd"), UserFactory(username="lone")
    for owner in (crowd, crowd, crowd, lone):
        SubmissionFactory(owner=owner, benchmark=edition.benchmark, state=SubmissionState.TRIAL)
    taken = [leases.claim_trial(f"w{n}") for n in range(5)]
    teams = [submission.team.slug if submission else None for submission in taken]
    assert teams == ["crowd", "lone", "crowd", "crowd", None]


def test_a_trial_that_needs_gpus_waits_for_a_worker_that_has_them() -> None:
    submission = SubmissionFactory(state=SubmissionState.TRIAL)
    submission.benchmark.budgets["train"]["gpus"] = 1
    submission.benchmark.save()
    assert leases.claim_trial("w") is None
    assert leases.claim_trial("w", gpus=1) == submission
