"""Leaderboards and heat maps as a view of a board asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.board import MEANS, Snapshot
from leaderboard.models import Benchmark, PeriodScore, Submission, UnitScore
from leaderboard.selectors import selection
from leaderboard.selectors.boards import Board, leaderboard
from leaderboard.selectors.contacts import first_contact
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.selection import ORACLE, SORTABLE
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.summaries import benchmark_summaries
from leaderboard.selectors.trends import trends
from leaderboard.selectors.views import View
from leaderboard.services.boards import board_touch, boards_refresh
from tests.leaderboard.factories import (
    BenchmarkFactory,
    EditionFactory,
    RunFactory,
    RunInfluenceFactory,
    RunScoreFactory,
    SubmissionFactory,
    UserFactory,
)
from tests.leaderboard.world import N_WINDOWS, World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


def refresh(world: World) -> None:
    board_touch(world.benchmark.pk)
    boards_refresh()


def add_entries(world: World, n: int, **fields: Any) -> None:
    for i in range(n):
        submission = SubmissionFactory(benchmark=world.benchmark, name=f"more-{i}", **fields)
        run = RunFactory(submission=submission, edition=world.edition, state="succeeded")
        RunScoreFactory(run=run, value=0.55 + i / 1000, low=0.5, high=0.6)
    refresh(world)


def shown(world: World, user: object = VISITOR, **view: Any) -> Board:
    return leaderboard(world.benchmark, user, View(**view))


def names(board: Board) -> list[str]:
    return [row.entry.name for row in board.rows]


def test_a_row_holds_the_next_score_of_every_forecast_and_its_cost(world: World) -> None:
    board = shown(world)
    assert board.timeline is not None
    row = next(row for row in board.rows if row.entry.name == "durall-spectrum")
    stored = PeriodScore.objects.filter(run=row.entry.run_id, period="next").order_by("window")
    assert len(row.windows) == len(board.timeline.forecasts) == N_WINDOWS
    for estimate, score in zip(row.windows, stored, strict=True):
        expected = auroc(score)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
    assert row.cost_s == pytest.approx(38.0 * (1 + 2 + 3 + 4) + 4 * 9.5)
    assert row.entry.means.keys() == set(MEANS)


def test_several_seeds_are_a_mean_with_its_spread_and_one_is_a_single_run(world: World) -> None:
    entries = {row.entry.name: row.entry for row in shown(world).rows}
    several = entries["npr"]
    assert several.seeds == (0, 1)
    assert several.spread is not None
    low, high = several.spread
    assert low < high
    assert several.next.estimate.value == pytest.approx((low + high) / 2)
    assert (entries["cifake-cnn"].seeds, entries["cifake-cnn"].spread) == ((0,), None)


def test_what_failed_is_listed_unranked_and_what_runs_apart(world: World) -> None:
    board = shown(world)
    assert [(row.entry.name, row.entry.rank) for row in board.rows] == [
        ("npr", 1),
        ("durall-spectrum", 2),
        ("cifake-cnn", 3),
        ("ensemble-of-everything", None),
    ]
    failed = board.rows[-1]
    assert failed.windows[0].value is not None
    assert failed.windows[1:] == (Estimate(), Estimate(), Estimate())
    assert {row.name: (row.progress, row.n_done, row.n_steps) for row in board.live} == {
        "patchcraft-192": (pytest.approx((4 + 0.42) / 8), 4, 8),
        "clip-probe": (0.0, 0, 8),
    }
    assert board.is_changing


def test_detectors_that_share_a_rank_know_how_many_do(world: World) -> None:
    # They have nothing to be tested with, so they are apart from nobody.
    add_entries(world, 3)
    sharing = {row.entry.name: (row.entry.rank, row.n_sharing) for row in shown(world).rows}
    assert sharing["npr"] == (1, 1)
    rank, n_sharing = sharing["more-2"]
    assert n_sharing == sum(other == (rank, n_sharing) for other in sharing.values()) >= 3
    assert sharing["ensemble-of-everything"] == (None, 0)


def test_private_entries_are_shown_apart_to_those_who_may_see_them(world: World) -> None:
    for user, seen in [
        (VISITOR, []),
        (UserFactory(), []),
        (world.submitter, ["unpublished-idea"]),
        (world.maintainer, ["unpublished-idea"]),
    ]:
        board = shown(world, user)
        assert [row.entry.name for row in board.own] == seen
        assert [row.entry.rank for row in board.own] == [None] * len(seen)
        assert "unpublished-idea" not in names(board)
    (own,) = shown(world, world.submitter).own
    assert own.entry.next.estimate.value is not None
    assert own.windows[0].value is not None


def test_a_view_of_some_moment_has_nothing_that_goes_on(world: World) -> None:
    citation = shown_board(world.benchmark).citation  # type: ignore[union-attr]
    board = shown(world, world.submitter, asof=citation)
    assert (board.own, board.live, board.coming, board.n_stale) == ((), (), None, 0)
    assert names(board) == names(shown(world))


@pytest.mark.parametrize(
    ("view", "left"),
    [
        ({"q": "CNN"}, {"cifake-cnn"}),
        ({"q": "vision-lab"}, set()),
        ({"q": "no such thing"}, set()),
        ({"track": "training-free"}, {"null"}),
        ({"track": "trained"}, {"npr", "durall-spectrum", "cifake-cnn", "ensemble-of-everything", "null"}),
        ({"pretraining": "undeclared"}, {"cifake-cnn", "null"}),
        ({"pretraining": "declared"}, {"npr", "durall-spectrum", "ensemble-of-everything", "null"}),
        ({"pretraining": "before"}, {"durall-spectrum", "null"}),
        ({"seeds": 2}, {"npr", "null"}),
        ({"seeds": 3}, {"null"}),
        ({"q": "npr", "seeds": 2}, {"npr"}),
    ],
)
def test_filters_leave_what_they_say_and_null_rows_stay_whatever_detectors_are_asked_for(
    world: World, view: dict[str, Any], left: set[str]
) -> None:
    Submission.objects.filter(name="cifake-cnn").update(declared_cutoff=None)
    Submission.objects.filter(name="durall-spectrum").update(declared_cutoff="2017-12-31")
    null_row = SubmissionFactory(benchmark=world.benchmark, name="null", null_row="constant")
    RunScoreFactory(run=RunFactory(submission=null_row, edition=world.edition, state="succeeded"), value=0.99)
    refresh(world)
    board = shown(world, **view)
    assert set(names(board)) == left
    assert board.n_rows == len(left)
    assert board.n_all == 5


def test_ranks_are_the_boards_whatever_is_filtered(world: World) -> None:
    (row,) = shown(world, q="cifake").rows
    assert row.entry.rank == 3


def column(board: Board, key: str, snapshot: Snapshot) -> list[float | None]:
    """The values of a column in the order of the rows that are shown, from the board's own table."""
    place = {str(row.entry.submission_id): i for i, row in enumerate(board.rows)}
    found: list[float | None] = [None] * len(place)
    for row in snapshot.rows(range(len(snapshot))):
        value = (
            row["windows"][int(key[1:]) - 1] if key[0] == "w" and key[1:].isdigit() else row[SORTABLE[key]]
        )
        found[place[row["detector"]]] = len(value) if isinstance(value, list) else value
    return found


@pytest.mark.parametrize(
    "key", [*(k for k in SORTABLE if k not in ("focus", "forgetting", "backward")), "w1", "w4"]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_column_sorts_and_what_has_no_value_comes_last(world: World, key: str, sign: str) -> None:
    board = shown(world, sort=f"{sign}{key}")
    assert board.order == f"{sign}{key}"
    assert board.shown is not None
    values = column(board, key, board.shown.snapshot)
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=bool(sign))
    assert None not in values[: len(known)]
    assert len(known) >= 3


@pytest.mark.parametrize(("order", "first"), [("name", "cifake-cnn"), ("-name", "npr")])
def test_names_sort_too(world: World, order: str, first: str) -> None:
    assert names(shown(world, sort=order))[0] == first


@pytest.mark.parametrize(
    "order", ["", "w0", "w9", "w", "w-1", "--next", "-", "focus", "forgetting", ORACLE, "rank; DROP TABLE"]
)
def test_an_order_that_the_board_does_not_have_is_the_rankings(world: World, order: str) -> None:
    board = shown(world, sort=order)
    assert board.order == "-next"
    assert names(board)[0] == "npr"


def test_pages_follow_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PAGE_ROWS", 3)
    first, second, third = (shown(world, page=page) for page in (1, 2, 3))
    assert [names(first), names(second), names(third)] == [
        ["npr", "durall-spectrum", "cifake-cnn"],
        ["ensemble-of-everything"],
        [],
    ]
    assert {(board.n_rows, board.n_pages) for board in (first, second, third)} == {(4, 2)}
    assert [len(first_contact(world.benchmark, View(page=page)).rows) for page in (1, 2, 3)] == [3, 1, 0]


def test_a_family_gives_rows_the_mean_of_their_first_contacts_with_it(world: World) -> None:
    view = View(family="transposed convolution")
    board = leaderboard(world.benchmark, VISITOR, view)
    contact = first_contact(world.benchmark, view)
    # Two of the family's three are of the first window, which nobody meets.
    assert [g.slug for g in contact.generators] == ["spectrum-flat"]
    cells = {row.entry.name: row.cells[0].value for row in contact.rows}
    for row in board.rows:
        assert row.focus is not None
        assert row.focus.value == cells[row.entry.name]
    assert board.order == "-focus"
    values = [row.focus.value for row in board.rows if row.focus and row.focus.value is not None]
    assert values == sorted(values, reverse=True)
    assert names(board)[-1] == "ensemble-of-everything", "it has not met one of them"
    assert "diffusion" in board.families


def test_a_mean_over_a_family_is_missing_where_one_contact_is(world: World) -> None:
    rows = {row.entry.name: row.focus for row in shown(world, family="nearest").rows}
    failed = rows["ensemble-of-everything"]
    assert failed is not None
    assert (failed.value is not None, failed.n) == (True, 1), "it met the only one that can be met"
    rows = {row.entry.name: row.focus for row in shown(world, family="quantisation").rows}
    failed = rows["ensemble-of-everything"]
    assert failed is not None
    assert (failed.value, failed.n) == (None, 1), "of two"


def test_prospective_means_are_of_the_prospective_contacts_there_are(world: World) -> None:
    board = shown(world, prospective=True)
    contact = first_contact(world.benchmark, View(prospective=True))
    for row, cells in zip(board.rows, contact.rows, strict=True):
        values = [cell.value for cell in cells.cells if cell.prospective]
        assert row.focus is not None
        assert row.focus.n == len(values)
        assert row.focus.value == pytest.approx(np.mean(values))


def test_first_contact_is_the_checkpoint_of_the_window_before(world: World) -> None:
    contact = first_contact(world.benchmark)
    assert [g.slug for g in contact.without] == ["nearest-2", "bilinear-2", "transposed-4", "transposed-3"]
    assert [g.slug for g in contact.generators][:2] == ["blockwise-8", "pixel-shuffle"]
    row = next(row for row in contact.rows if row.entry.name == "npr")
    for generator, cell in zip(contact.generators, row.cells, strict=True):
        assert generator.window is not None
        window = generator.window - 1 if not generator.is_open else N_WINDOWS - 1
        score = auroc(UnitScore.objects.get(run=row.entry.run_id, window=window, unit=generator.unit_id))
        assert (cell.value, cell.low, cell.high) == pytest.approx((score.value, score.low, score.high))
        # The world's images were sealed before its generators were published.
        assert cell.prospective
    assert contact.generators[-1].is_open


def test_a_benchmark_without_an_edition_has_an_empty_board() -> None:
    benchmark = BenchmarkFactory()
    assert leaderboard(benchmark, VISITOR).timeline is None
    assert first_contact(benchmark).rows == ()
    assert trends(benchmark).lines == ()


def test_summaries_name_the_best_that_are_ranked(world: World) -> None:
    SubmissionFactory(benchmark=world.benchmark, name="null", null_row="constant")
    other = BenchmarkFactory(slug="a-new-one", name="A new one")
    summaries = {summary.benchmark.slug: summary for summary in benchmark_summaries(VISITOR)}
    assert list(summaries) == ["families-v1", "a-new-one"], "one without a board comes last"
    found = summaries["families-v1"]
    assert [row.entry.name for row in found.leaders] == ["npr", "durall-spectrum", "cifake-cnn"]
    assert (found.n_entries, found.n_generators) == (6, 17)
    assert (summaries[other.slug].leaders, summaries[other.slug].n_generators) == ((), 0)


@pytest.mark.parametrize("n_more", [0, 60])
def test_queries_do_not_grow_with_the_board(
    world: World, n_more: int, django_assert_num_queries: Any
) -> None:
    add_entries(world, n_more)
    benchmark = Benchmark.objects.select_related("corpus").get(pk=world.benchmark.pk)
    view = View(sort="name", q="m", family="flow", page=2)
    shown_board(benchmark)
    with django_assert_num_queries(7):
        leaderboard(benchmark, VISITOR, View())
    with django_assert_num_queries(7):
        leaderboard(benchmark, VISITOR, view)
    with django_assert_num_queries(3):
        first_contact(benchmark, View())
    with django_assert_num_queries(3):
        trends(benchmark, View())
    with django_assert_num_queries(5):
        benchmark_summaries(VISITOR)


def test_ones_own_rows_cost_the_same_however_many(world: World, django_assert_max_num_queries: Any) -> None:
    shown(world, world.submitter)
    with django_assert_max_num_queries(40) as one:
        assert len(shown(world, world.submitter).own) == 1
    for _ in range(5):
        private = SubmissionFactory(benchmark=world.benchmark, owner=world.submitter, visibility="private")
        run = RunFactory(submission=private, edition=world.edition, state="succeeded")
        RunScoreFactory(run=run)
        RunInfluenceFactory(run=run)
    with django_assert_max_num_queries(40) as six:
        assert len(shown(world, world.submitter).own) == 6
    assert len(one) == len(six)


def test_runs_on_an_older_edition_do_not_count(world: World) -> None:
    EditionFactory(benchmark=world.benchmark, number=2, windows=1)
    refresh(world)
    board = shown(world)
    assert (board.rows, board.shown and board.shown.edition) == ((), 2)
    assert names(shown(world, asof="edition-1"))[0] == "npr"
