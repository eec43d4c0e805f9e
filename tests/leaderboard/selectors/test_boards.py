from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.models import Benchmark, PeriodScore, UnitScore
from leaderboard.selectors.boards import benchmark_summaries, first_contact, leaderboard
from leaderboard.selectors.estimates import Estimate, auroc
from tests.leaderboard.factories import (
    BenchmarkFactory,
    RunFactory,
    RunScoreFactory,
    SubmissionFactory,
)
from tests.leaderboard.world import N_WINDOWS, World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


def add_entries(world: World, n: int) -> None:
    for i in range(n):
        submission = SubmissionFactory(benchmark=world.benchmark, name=f"more-{i}")
        run = RunFactory(submission=submission, edition=world.edition, state="succeeded")
        RunScoreFactory(run=run, value=0.6 + i / 1000)


def test_a_row_holds_the_next_score_of_every_forecast_and_its_cost(world: World) -> None:
    board = leaderboard(world.benchmark, VISITOR)
    row = board.rows[0]
    stored = PeriodScore.objects.filter(run=row.entry.run_id, period="next").order_by("window")
    assert row.windows == tuple(auroc(score) for score in stored)
    assert len(row.windows) == len(board.timeline.forecasts) == N_WINDOWS
    assert row.entry.name == "npr"
    assert row.steps.cost_s == pytest.approx(412.0 * (1 + 2 + 3 + 4) + 4 * 103.0)


def test_what_failed_is_listed_unranked_and_what_runs_apart(world: World) -> None:
    board = leaderboard(world.benchmark, VISITOR)
    assert [(row.entry.name, row.entry.rank) for row in board.rows] == [
        ("npr", 1),
        ("durall-spectrum", 2),
        ("cifake-cnn", 3),
        ("ensemble-of-everything", None),
    ]
    failed = board.rows[-1]
    assert failed.windows[0].value is not None
    assert failed.windows[1:] == (Estimate(), Estimate(), Estimate())
    assert {row.entry.name: row.steps.progress for row in board.live} == {
        "patchcraft-192": pytest.approx((4 + 0.42) / 8),
        "clip-probe": 0.0,
    }


def test_first_contact_is_the_checkpoint_of_the_window_before(world: World) -> None:
    contact = first_contact(world.benchmark, VISITOR)
    assert [g.slug for g in contact.without] == ["nearest-2", "bilinear-2", "transposed-4", "transposed-3"]
    assert [g.slug for g in contact.generators][:2] == ["blockwise-8", "pixel-shuffle"]
    row = next(row for row in contact.rows if row.entry.name == "npr")
    for generator, cell in zip(contact.generators, row.cells, strict=True):
        window = generator.window - 1 if not generator.is_open else N_WINDOWS - 1
        score = UnitScore.objects.get(run=row.entry.run_id, window=window, unit=generator.unit_id)
        assert Estimate(cell.value, cell.low, cell.high) == auroc(score)
        # The world's images were sealed before its generators were published.
        assert cell.prospective
    assert contact.generators[-1].is_open
    partial = next(row for row in contact.rows if row.entry.name == "patchcraft-192")
    assert [cell.value is not None for cell in partial.cells] == [True] * 8 + [False] * 5


def test_a_benchmark_without_an_edition_has_an_empty_board() -> None:
    benchmark = BenchmarkFactory()
    assert leaderboard(benchmark, VISITOR).timeline is None
    assert first_contact(benchmark, VISITOR).rows == ()


def test_summaries_name_the_three_best_public_detectors(world: World) -> None:
    add_entries(world, 1)
    other = BenchmarkFactory()
    summaries = {summary.benchmark.slug: summary for summary in benchmark_summaries(VISITOR)}
    assert [leader.name for leader in summaries["families-v1"].leaders] == [
        "npr",
        "durall-spectrum",
        "cifake-cnn",
    ]
    assert summaries["families-v1"].n_entries == 7
    assert summaries[other.slug].leaders == ()


@pytest.mark.parametrize("n_more", [0, 5])
def test_queries_do_not_grow_with_the_board(world: World, n_more: int, django_assert_num_queries) -> None:
    add_entries(world, n_more)
    benchmark = Benchmark.objects.select_related("corpus").get(pk=world.benchmark.pk)
    with django_assert_num_queries(11):
        leaderboard(benchmark, VISITOR)
    with django_assert_num_queries(9):
        first_contact(benchmark, VISITOR)
    with django_assert_num_queries(3):
        benchmark_summaries(VISITOR)
