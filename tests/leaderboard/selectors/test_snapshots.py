"""Which board is shown, as of when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from leaderboard.models import Benchmark, Board, Generator
from leaderboard.selectors.snapshots import past_boards, shown_board, withdrawn_since
from leaderboard.services.boards import board_refresh
from tests.leaderboard.factories import (
    BenchmarkFactory,
    EditionFactory,
    RunFactory,
    RunScoreFactory,
    SubmissionFactory,
)
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def benchmark() -> Benchmark:
    """Three boards: two on one day of edition 1, one a week later of edition 2."""
    found: Benchmark = BenchmarkFactory()
    for number, at in ((1, DAY), (1, DAY + timedelta(hours=3)), (2, DAY + timedelta(days=7))):
        edition = found.editions.filter(number=number).first() or EditionFactory(
            benchmark=found, number=number, windows=2
        )
        run = RunFactory(submission=SubmissionFactory(benchmark=found), edition=edition, state="succeeded")
        RunScoreFactory(run=run)
        board = board_refresh(found)
        assert board is not None
        # A board's time is that of its making, and these are to have been made long ago.
        Board.objects.filter(pk=board.pk).update(at=at)
    return found


def boards(benchmark: Benchmark) -> list[Board]:
    return list(benchmark.boards.order_by("id"))


@pytest.mark.parametrize(
    ("asof", "which"),
    [
        ("", 2),
        ("edition-2", 2),
        ("edition-1", 1),
        ("2026-03-02", 1),
        ("2026-03-08", 1),
        ("2026-03-09", 2),
        ("2026-03-02T09:30", 0),
        ("2026-03-02T12:30+03:00", 0),
        ("2026-03-02T13:00", 1),
    ],
)
def test_a_board_is_named_by_a_day_a_moment_or_an_edition(
    benchmark: Benchmark, asof: str, which: int
) -> None:
    shown = shown_board(benchmark, asof)
    assert shown is not None
    board = boards(benchmark)[which]
    assert (shown.number, shown.digest, shown.edition) == (board.pk, board.digest, board.edition.number)
    assert shown.is_present is (which == 2)
    assert len(shown.snapshot) == board.n_rows


def test_a_board_is_named_by_the_digits_of_its_digest(benchmark: Benchmark) -> None:
    for board in boards(benchmark):
        for n_digits in (12, 16, 64):
            shown = shown_board(benchmark, board.digest[:n_digits])
            assert shown is not None
            assert shown.number == board.pk
        assert shown_board(benchmark, board.digest[:11]) is None, "too few to cite by"


@pytest.mark.parametrize(
    "asof",
    [
        "edition-3",
        "edition-0",
        "edition--1",
        "2026-03-01",
        "0001-01-01",
        "never",
        "f" * 64,
        "'; --",
        "9999-12-31",
    ],
)
def test_there_is_no_other(benchmark: Benchmark, asof: str) -> None:
    assert shown_board(benchmark, asof) is None


def test_another_benchmarks_board_is_not_found(benchmark: Benchmark) -> None:
    other = EditionFactory(windows=1).benchmark
    board_refresh(other)
    assert shown_board(benchmark, other.boards.get().digest) is None
    assert shown_board(BenchmarkFactory()) is None


def test_a_board_costs_three_queries_and_stays_in_memory(
    benchmark: Benchmark, django_assert_num_queries: Any
) -> None:
    first = shown_board(benchmark)
    with django_assert_num_queries(3):
        again = shown_board(benchmark)
    assert first is not None
    assert again is not None
    assert again.snapshot is first.snapshot


def test_past_boards_are_the_last_of_each_edition_and_day(
    benchmark: Benchmark, django_assert_num_queries: Any
) -> None:
    _, second, third = boards(benchmark)
    with django_assert_num_queries(1):
        found = past_boards(benchmark)
    assert [(board.edition, board.citation) for board in found] == [
        (2, third.digest[:16]),
        (1, second.digest[:16]),
    ]
    Board.objects.filter(pk=second.pk).update(at=F("at") + timedelta(hours=12))
    assert len(past_boards(benchmark)) == 3


def test_what_was_withdrawn_since_is_named(world: World, django_assert_num_queries: Any) -> None:
    shown = shown_board(world.benchmark)
    assert shown is not None
    assert withdrawn_since(shown) == []
    Generator.objects.filter(slug__in=["vq-16", "flow-2", "sealed-next"]).update(withdrawn_at=timezone.now())
    with django_assert_num_queries(1):
        assert withdrawn_since(shown) == ["Vector-quantised patches 16×16", "Rectified flow"]
