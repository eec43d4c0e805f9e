"""Boards are written down when something on them has changed, and say who can be told apart."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest
from django.db import connection

from leaderboard.board import Snapshot, digest_of
from leaderboard.models import Benchmark, Board, BoardTouch, Edition, Run, RunInfluence, Submission
from leaderboard.services.boards import LOCK, board_refresh, board_touch, boards_refresh
from leaderboard.services.editions import newcomer_join
from leaderboard.services.generators import generator_redate, generator_withdraw
from leaderboard.services.moves import move
from leaderboard.services.submissions import submission_delete
from leaderboard.services.teams import team_rename
from protocols.states import RunState, SubmissionState
from tests.leaderboard.factories import (
    EditionFactory,
    GeneratorFactory,
    RunFactory,
    RunInfluenceFactory,
    RunScoreFactory,
    SubmissionFactory,
    UnitFactory,
    UserFactory,
    WindowFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def edition() -> Edition:
    edition = EditionFactory()
    for index in range(2):
        generator = GeneratorFactory(corpus=edition.benchmark.corpus, release_date=date(2020, 1 + index, 1))
        WindowFactory(edition=edition, index=index, generators=[generator])
    return edition


def enter(
    edition: Edition,
    name: str,
    value: float | None,
    *,
    influence: dict[str, Any] | None = None,
    **fields: Any,
) -> Submission:
    submission: Submission = SubmissionFactory(benchmark=edition.benchmark, name=name, **fields)
    add_run(submission, edition, value, seed=0, influence=influence)
    return submission


def add_run(
    submission: Submission,
    edition: Edition,
    value: float | None,
    *,
    seed: int,
    influence: dict[str, Any] | None = None,
) -> Run:
    run: Run = RunFactory(submission=submission, edition=edition, seed=seed, state=RunState.SUCCEEDED)
    bounds = {"low": None, "high": None} if value is None else {"low": value - 0.01, "high": value + 0.01}
    RunScoreFactory(run=run, value=value, **bounds)
    if value is not None:
        # Vectors by the name, so that no test depends on what ran before it.
        RunInfluenceFactory(run=run, **{"seed": sum(submission.name.encode()) + seed, **(influence or {})})
    return run


def rows(benchmark: Benchmark) -> list[dict[str, Any]]:
    """The rows of the newest board of a benchmark."""
    board = Board.objects.filter(benchmark=benchmark).order_by("-id")[0]
    assert digest_of(bytes(board.table)) == board.digest
    snapshot = Snapshot.decode(bytes(board.table))
    assert len(snapshot) == board.n_rows
    return snapshot.rows(range(len(snapshot)))


def ranks(benchmark: Benchmark) -> list[tuple[str, int | None, int | None, int | None]]:
    boards_refresh()
    return [(r["name"], r["rank"], r["rank_best"], r["rank_worst"]) for r in rows(benchmark)]


def test_a_board_is_made_once_and_again_when_it_differs(edition: Edition) -> None:
    enter(edition, "first", 0.8)
    assert boards_refresh() == 1
    board_touch(edition.benchmark_id)
    assert boards_refresh() == 0, "nothing that it shows has changed"
    assert not BoardTouch.objects.exists()
    enter(edition, "second", 0.9)
    assert boards_refresh() == 0, "nobody said that something has changed"
    assert boards_refresh(every=True) == 1, "what was forgotten is found"
    first, second = Board.objects.order_by("id")
    assert (first.n_rows, second.n_rows) == (1, 2)
    assert first.digest != second.digest


def test_equal_boards_are_equal_bytes(edition: Edition) -> None:
    enter(edition, "only", 0.8)
    made = board_refresh(edition.benchmark)
    assert made is not None
    Board.objects.all().delete()
    again = board_refresh(edition.benchmark)
    assert again is not None
    assert bytes(again.table) == bytes(made.table)


def test_a_benchmark_without_an_edition_has_no_board() -> None:
    edition = EditionFactory(opened_at=None)
    assert board_refresh(edition.benchmark) is None
    assert not Board.objects.exists()


def test_missing_is_last_and_unranked_and_ranks_are_intervals(edition: Edition) -> None:
    enter(edition, "none", None)
    enter(edition, "low", 0.7)
    enter(edition, "top", 0.9)
    enter(edition, "near-top", 0.86)
    assert ranks(edition.benchmark) == [
        ("top", 1, 1, 1),
        ("near-top", 2, 2, 2),
        ("low", 3, 3, 3),
        ("none", None, None, None),
    ]


def test_what_the_paired_test_cannot_tell_apart_shares_a_rank(edition: Edition) -> None:
    alike = {"error": 0.02, "seed": 1}
    enter(edition, "a", 0.90, influence=alike)
    # On the very same images they err alike, and so a small difference is certain.
    enter(edition, "b", 0.88, influence={"error": 0.0201, "seed": 1})
    # Errs on others, and may just have been lucky.
    enter(edition, "c", 0.87, influence={"error": 0.02, "seed": 2})
    enter(edition, "d", 0.60, influence=alike)
    assert [(name, rank) for name, rank, _, _ in ranks(edition.benchmark)] == [
        ("a", 1),
        ("b", 2),
        ("c", 2),
        ("d", 4),
    ]


def test_who_was_scored_on_other_images_is_told_apart_from_nobody(edition: Edition) -> None:
    enter(edition, "a", 0.9)
    enter(edition, "b", 0.7, influence={"units": [2]})
    enter(edition, "c", 0.5)
    assert [(name, rank) for name, rank, _, _ in ranks(edition.benchmark)] == [("a", 1), ("b", 1), ("c", 3)]


def test_without_anything_to_test_with_nobody_is_told_apart(edition: Edition) -> None:
    enter(edition, "a", 0.9)
    enter(edition, "b", 0.5)
    RunInfluence.objects.all().delete()
    assert [(name, rank) for name, rank, _, _ in ranks(edition.benchmark)] == [("a", 1), ("b", 1)]


def test_many_are_tested_with_few_vectors_in_memory(
    edition: Edition, django_assert_max_num_queries: Any
) -> None:
    for number in range(150):
        enter(edition, f"d{number:03}", 0.9 - number / 1000, influence={"error": 0.0001})
    with django_assert_max_num_queries(30):
        found = ranks(edition.benchmark)
    assert [rank for _, rank, _, _ in found] == list(range(1, 151))


def test_null_rows_are_ranked_by_nobody_wherever_they_stand(edition: Edition) -> None:
    enter(edition, "top", 0.8)
    enter(edition, "null", 0.9, null_row="metadata")
    enter(edition, "low", 0.7)
    assert ranks(edition.benchmark) == [
        ("null", None, None, None),
        ("top", 1, 1, 1),
        ("low", 2, 2, 2),
    ]


def test_a_detector_with_several_seeds_has_their_mean_and_spread(edition: Edition) -> None:
    submission = enter(edition, "seeds", 0.70, influence={"seed": 3})
    add_run(submission, edition, 0.80, seed=1, influence={"seed": 4})
    add_run(submission, edition, None, seed=2)
    enter(edition, "single", 0.74, influence={"seed": 5})
    boards_refresh()
    single, several = sorted(rows(edition.benchmark), key=lambda row: len(row["seeds"]))
    assert several["next"] == pytest.approx(0.75)
    assert (several["next_min"], several["next_max"], several["seeds"]) == (0.70, 0.80, [0, 1])
    assert (several["next_low"], several["next_high"]) == (pytest.approx(0.74), pytest.approx(0.76))
    assert (single["next_min"], single["next_max"], single["seeds"]) == (0.74, 0.74, [0])
    assert (several["rank"], single["rank"]) == (1, 1), "a hundredth is within two errors"


def test_private_entries_are_on_no_board_and_change_nobodys_rank(edition: Edition) -> None:
    enter(edition, "secret", 0.95, visibility="private")
    enter(edition, "public", 0.9)
    assert ranks(edition.benchmark) == [("public", 1, 1, 1)]


@pytest.mark.parametrize("state", sorted(set(SubmissionState) - {SubmissionState.ACCEPTED}))
def test_only_what_was_accepted_stands_on_a_board(edition: Edition, state: SubmissionState) -> None:
    enter(edition, "gone", 0.9, state=state)
    boards_refresh()
    assert rows(edition.benchmark) == []


def test_every_change_that_a_board_shows_touches_it(edition: Edition) -> None:
    submission = enter(edition, "entry", 0.9)
    waiting = RunFactory(submission=SubmissionFactory(benchmark=edition.benchmark), edition=edition)
    failed = SubmissionFactory(benchmark=edition.benchmark, archive="")
    maintainer = UserFactory(maintainer=True)
    generator = edition.windows.all()[0].generators.all()[0]
    newcomer = UnitFactory(
        benchmark=edition.benchmark,
        generator=GeneratorFactory(corpus=edition.benchmark.corpus, release_date=date(2021, 1, 1)),
        joins=False,
    )
    changes = {
        "run": lambda: move(waiting, RunState.FAILED),
        "join": lambda: newcomer_join(edition, newcomer),
        "re-date": lambda: generator_redate(
            generator, date(2019, 12, 1), actor=maintainer, reason="It was earlier."
        ),
        "withdraw": lambda: generator_withdraw(generator, actor=maintainer, reason="Licence."),
        "rename": lambda: team_rename(submission.team, name="Renamed", actor=submission.owner),
        "take back": lambda: move(submission, SubmissionState.WITHDRAWN),
        "delete": lambda: submission_delete(failed, actor=failed.owner),
    }
    for name, change in changes.items():
        boards_refresh()
        assert not BoardTouch.objects.exists()
        change()
        assert BoardTouch.objects.filter(benchmark=edition.benchmark).exists(), name


@pytest.mark.django_db(transaction=True)
def test_one_process_at_a_time_makes_a_board(edition: Edition) -> None:
    board_touch(edition.benchmark_id)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, edition.benchmark_id])
            held.set()
            done.wait(30)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(30)
        assert board_refresh(edition.benchmark) is None
        assert BoardTouch.objects.exists(), "what it did not see is left to the next call"
    finally:
        done.set()
        other.join()
    assert board_refresh(edition.benchmark) is not None
