from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.delong import Auroc, delong
from protocols.ranking import Entry, Ranked, pair_level, rank, shared_ranks, tells_apart

unit = st.integers(0, 20).map(lambda n: n / 20)


@st.composite
def boards(draw: st.DrawFn) -> list[Entry]:
    entries = []
    for index in range(draw(st.integers(0, 12))):
        low, value, high = sorted(draw(st.tuples(unit, unit, unit)))
        kind = draw(st.sampled_from(["full", "full", "bare", "missing"]))
        entries.append(
            {
                "full": Entry(str(index), value, low, high),
                "bare": Entry(str(index), value),
                "missing": Entry(str(index), None),
            }[kind]
        )
    return entries


def test_ties_share_a_rank_and_missing_is_unranked() -> None:
    board = [
        Entry("b", 0.8, 0.7, 0.9),
        Entry("missing", None),
        Entry("a", 0.8, 0.75, 0.85),
        Entry("c", 0.6, 0.55, 0.65),
        Entry("zero", 0.0, 0.0, 0.0),
    ]
    assert rank(board) == [
        Ranked("b", 1, 1, 2),
        Ranked("missing", None, None, None),
        Ranked("a", 1, 1, 2),
        Ranked("c", 3, 3, 3),
        Ranked("zero", 4, 4, 4),
    ]


def test_overlapping_intervals_leave_the_ranks_open() -> None:
    board = [Entry("a", 0.9, 0.8, 1.0), Entry("b", 0.8, 0.7, 0.9), Entry("c", 0.7, 0.6, 0.75)]
    assert rank(board) == [Ranked("a", 1, 1, 2), Ranked("b", 2, 1, 3), Ranked("c", 3, 2, 3)]


def test_intervals_that_touch_overlap() -> None:
    assert rank([Entry("a", 0.9, 0.8, 1.0), Entry("b", 0.7, 0.6, 0.8)]) == [
        Ranked("a", 1, 1, 2),
        Ranked("b", 2, 1, 2),
    ]


def test_an_entry_without_an_interval_is_apart_from_nobody() -> None:
    assert rank([Entry("a", 0.9, 0.9, 0.9), Entry("b", 0.1), Entry("c", 0.2, 0.2, 0.2)]) == [
        Ranked("a", 1, 1, 2),
        Ranked("b", 3, 1, 3),
        Ranked("c", 2, 2, 3),
    ]


@given(boards())
def test_ranks_are_counts_of_better_and_worse_entries(board: list[Entry]) -> None:
    ranked = rank(board)
    present = [e for e in board if e.value is not None]
    assert [r.id for r in ranked] == [e.id for e in board]
    for entry, got in zip(board, ranked, strict=True):
        if entry.value is None:
            assert (got.rank, got.best, got.worst) == (None, None, None)
            continue
        better = sum(other.value > entry.value for other in present)
        above = sum(e.low is not None and entry.high is not None and e.low > entry.high for e in present)
        below = sum(e.high is not None and entry.low is not None and e.high < entry.low for e in present)
        assert (got.rank, got.best, got.worst) == (1 + better, 1 + above, len(present) - below)
        assert got.best <= got.rank <= got.worst


def never(_leader: str, _entry: str) -> bool:
    return False


def always(_leader: str, _entry: str) -> bool:
    return True


def by_more_than(board: list[Entry], gap: float) -> Callable[[str, str], bool]:
    value = {entry.id: entry.value for entry in board}
    return lambda leader, entry: value[leader] - value[entry] > gap


def test_who_can_not_be_told_apart_from_the_leader_shares_its_rank() -> None:
    board = [Entry("d", 0.70), Entry("a", 0.90), Entry("c", 0.86), Entry("b", 0.88), Entry("e", 0.69)]
    ranks = {r.id: r.rank for r in shared_ranks(board, by_more_than(board, 0.03))}
    # c is close to b, but is compared with a, the best of the rank.
    assert ranks == {"a": 1, "b": 1, "c": 3, "d": 4, "e": 4}


def test_every_entry_is_tested_once_against_the_leader_in_the_order_of_the_values() -> None:
    board = [Entry("b", 0.8), Entry("a", 0.9), Entry("none", None), Entry("d", 0.6), Entry("c", 0.7)]
    asked = []

    def differ(leader: str, entry: str) -> bool:
        asked.append((leader, entry))
        return entry == "c"

    shared_ranks(board, differ)
    assert asked == [("a", "b"), ("a", "c"), ("c", "d")]


def test_equal_values_share_even_if_one_of_them_could_be_told_apart() -> None:
    board = [Entry("a", 0.9), Entry("b", 0.8), Entry("c", 0.8)]
    ranks = {r.id: r.rank for r in shared_ranks(board, lambda _, entry: entry == "c")}
    assert ranks == {"a": 1, "b": 1, "c": 1}
    ranks = {r.id: r.rank for r in shared_ranks(board, always)}
    assert ranks == {"a": 1, "b": 2, "c": 2}
    # The first given of them leads.
    board.append(Entry("d", 0.7))
    ranks = {r.id: r.rank for r in shared_ranks(board, lambda leader, entry: (leader, entry) != ("b", "d"))}
    assert ranks == {"a": 1, "b": 2, "c": 2, "d": 2}


def test_what_can_not_be_tested_never_leads() -> None:
    board = [Entry("x", 0.95), Entry("a", 0.9), Entry("b", 0.8), Entry("y", 0.7), Entry("c", 0.6)]
    ranks = {r.id: r.rank for r in shared_ranks(board, always, untested={"x", "y"})}
    assert ranks == {"x": 1, "a": 1, "b": 3, "y": 3, "c": 5}
    nobody = shared_ranks(board, always, untested={"x", "a", "b", "y", "c"})
    assert {r.rank for r in nobody} == {1}


def test_the_interval_of_ranks_holds_all_places_of_a_shared_rank() -> None:
    board = [Entry("a", 0.9, 0.89, 0.91), Entry("b", 0.8, 0.79, 0.81), Entry("c", 0.1, 0.05, 0.15)]
    assert shared_ranks(board, lambda _, entry: entry == "c") == [
        Ranked("a", 1, 1, 2),
        Ranked("b", 1, 1, 2),
        Ranked("c", 3, 3, 3),
    ]


@given(boards(), st.floats(0, 1), st.data())
def test_shared_ranks_keep_the_order_and_lie_in_their_intervals(
    board: list[Entry], gap: float, more: st.DataObject
) -> None:
    untested = more.draw(st.sets(st.sampled_from([entry.id for entry in board]))) if board else set()
    ranked = shared_ranks(board, by_more_than(board, gap), untested=untested)
    assert [r.id for r in ranked] == [e.id for e in board]
    present = [(e.value, r) for e, r in zip(board, ranked, strict=True) if e.value is not None]
    for value, got in present:
        before = sum(other > value for other, _ in present)
        assert 1 <= got.best <= got.rank <= 1 + before <= got.worst <= len(present)
        for other, its in present:
            assert its.rank <= got.rank or other < value, "a better value never has a worse rank"
            if other == value:
                assert its.rank == got.rank
            if its.rank == got.rank:
                assert got.best <= 1 + sum(v > other for v, _ in present) <= got.worst
    assert all(
        (r.rank, r.best) == (None, None) for e, r in zip(board, ranked, strict=True) if e.value is None
    )


def test_without_a_gap_shared_ranks_are_those_by_value() -> None:
    board = [Entry("b", 0.8, 0.7, 0.9), Entry("a", 0.8, 0.75, 0.85), Entry("c", 0.6, 0.55, 0.65)]
    assert shared_ranks(board, always) == rank(board)
    assert [r.rank for r in shared_ranks(board, never)] == [1, 1, 1]


def test_the_level_is_that_of_all_pairs() -> None:
    assert pair_level(2) == 0.05
    assert pair_level(10) == pytest.approx(0.05 / 45)
    assert pair_level(1) == 0.05


def test_in_simulation_detectors_that_are_alike_hardly_ever_get_different_ranks() -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 100)
    n_boards, n_detectors, split = 300, 6, 0

    def ranked(estimates: list[Auroc]) -> list[Ranked]:
        board = [Entry(str(i), estimate.value) for i, estimate in enumerate(estimates)]
        return shared_ranks(
            board, lambda a, b: tells_apart(estimates[int(a)], estimates[int(b)], n_detectors)
        )

    for _ in range(n_boards):
        images = rng.normal(size=200) + labels
        alike = [known(labels, images + rng.normal(size=200)) for _ in range(n_detectors)]
        split += len({r.rank for r in ranked(alike)}) > 1
    assert split / n_boards < 0.05 + 2 * 0.0126, "5 % of the boards, and two standard deviations of 300"
    # What differs is told apart all the same.
    noisy = [known(labels, images + noise * rng.normal(size=200)) for noise in (0, 0.1, 30)]
    assert [r.rank for r in ranked(noisy)] == [1, 1, 3]


def known(labels: np.ndarray, scores: np.ndarray) -> Auroc:
    estimate = delong(labels, scores)
    assert estimate is not None
    return estimate
