from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.ranking import Entry, Ranked, rank

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
