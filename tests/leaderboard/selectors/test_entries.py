from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.models import Edition, Submission
from leaderboard.selectors.entries import Entry, entries
from protocols.states import RunState, SubmissionState
from tests.leaderboard.factories import (
    EditionFactory,
    RunFactory,
    RunScoreFactory,
    SubmissionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


@pytest.fixture
def edition() -> Edition:
    return EditionFactory()


def enter(edition: Edition, name: str, value: float | None, *, seed: int = 0, **fields: Any) -> Submission:
    """A submission with a run whose headline is ``value`` ± 0.01."""
    submission = SubmissionFactory(benchmark=edition.benchmark, name=name, **fields)
    add_run(submission, edition, value, seed=seed)
    return submission


def add_run(submission: Submission, edition: Edition, value: float | None, *, seed: int) -> None:
    run = RunFactory(submission=submission, edition=edition, seed=seed, state=RunState.SUCCEEDED)
    bounds = {} if value is None else {"low": value - 0.01, "high": value + 0.01}
    RunScoreFactory(run=run, value=value, **{"low": None, "high": None, **bounds})


def ranks(found: list[Entry]) -> list[tuple[str, int | None, int | None, int | None]]:
    return [(entry.name, entry.rank, entry.rank_best, entry.rank_worst) for entry in found]


def test_ranks_are_intervals_and_missing_is_last_and_unranked(edition: Edition) -> None:
    enter(edition, "none", None)
    enter(edition, "low", 0.7)
    enter(edition, "top", 0.9)
    enter(edition, "near-top", 0.89)
    assert ranks(entries(edition, VISITOR)) == [
        ("top", 1, 1, 2),
        ("near-top", 2, 1, 2),
        ("low", 3, 3, 3),
        ("none", None, None, None),
    ]


def test_the_best_of_several_seeds_counts(edition: Edition) -> None:
    submission = enter(edition, "seeds", 0.7, seed=0)
    add_run(submission, edition, 0.8, seed=1)
    add_run(submission, edition, None, seed=2)
    (entry,) = entries(edition, VISITOR)
    assert (entry.next.estimate.value, entry.seed, entry.n_seeds) == (0.8, 1, 3)


def test_a_private_entry_is_shown_to_its_owner_and_changes_nobodys_rank(edition: Edition) -> None:
    owner = UserFactory()
    enter(edition, "secret", 0.95, owner=owner, visibility="private")
    enter(edition, "public", 0.9)
    assert ranks(entries(edition, VISITOR)) == [("public", 1, 1, 1)]
    assert ranks(entries(edition, owner)) == [("secret", None, None, None), ("public", 1, 1, 1)]
    assert len(entries(edition, UserFactory(maintainer=True))) == 2


@pytest.mark.parametrize("state", sorted(set(SubmissionState) - {SubmissionState.ACCEPTED}))
def test_only_accepted_submissions_stand_on_a_board(edition: Edition, state: SubmissionState) -> None:
    maintainer = UserFactory(maintainer=True)
    enter(edition, "gone", 0.9, state=state)
    assert entries(edition, maintainer) == []


def test_results_on_an_older_edition_do_not_count(edition: Edition) -> None:
    enter(edition, "old", 0.9)
    newer = EditionFactory(benchmark=edition.benchmark)
    (entry,) = entries(newer, VISITOR)
    assert (entry.run_id, entry.next.estimate.value, entry.is_live) == (None, None, True)
