from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.timeline import Timeline, split_closed_open, windows
from tests.protocols import reference

DAY = date(2020, 1, 1)


def days(**offsets: int) -> dict[str, date]:
    return {name: DAY + timedelta(days=offset) for name, offset in offsets.items()}


# Few distinct days, so that ties are common.
release_dates = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=4),
    st.integers(0, 12).map(lambda offset: DAY + timedelta(days=offset)),
    max_size=25,
)
slots = st.integers(1, 5)


@pytest.mark.shared
def test_the_windows_of_the_official_code() -> None:
    plan = reference.window_plan()
    dates = {name: date.fromisoformat(text) for name, text in plan["release_dates"].items()}
    assert windows(dates, plan["n_generators_per_window"]) == plan["windows"]


def test_a_tie_joins_without_a_slot_and_the_last_window_is_shorter() -> None:
    assert windows(days(d=3, b=1, c=1, a=0, e=4), 2) == [["a", "b", "c"], ["d", "e"]]
    assert windows(days(a=0, b=1, c=2), 2) == [["a", "b"], ["c"]]
    assert windows(days(b=0, a=0, c=0), 2) == [["a", "b", "c"]]
    assert windows({}, 4) == []


def test_a_full_window_is_closed_and_the_remainder_is_open() -> None:
    assert split_closed_open(days(a=0, b=1, c=1, d=2), 2) == Timeline((("a", "b", "c"),), ("d",))
    assert split_closed_open(days(a=0, b=1), 2) == Timeline((("a", "b"),), ())
    # Two generators of one date fill one slot of two: the window waits for a second date.
    assert split_closed_open(days(a=0, b=0), 2) == Timeline((), ("a", "b"))
    assert split_closed_open({}, 2) == Timeline((), ())


def test_a_window_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        windows(days(a=0), 0)


@given(release_dates, slots)
def test_every_generator_is_in_one_window_and_windows_are_in_order(dates: dict[str, date], n: int) -> None:
    cut = windows(dates, n)
    flat = [name for window in cut for name in window]
    assert Counter(flat) == Counter(dates.keys())
    assert [dates[name] for name in flat] == sorted(dates.values())
    for earlier, later in pairwise(cut):
        assert dates[earlier[-1]] < dates[later[0]], "a date is never cut in two"
        assert len({dates[name] for name in earlier}) == n
    assert all(1 <= len({dates[name] for name in window}) <= n for window in cut)


@given(release_dates, slots, st.randoms(use_true_random=False))
def test_windows_do_not_depend_on_the_order_of_the_input(dates: dict[str, date], n: int, random) -> None:
    names = list(dates)
    random.shuffle(names)
    assert windows({name: dates[name] for name in names}, n) == windows(dates, n)


@given(release_dates, slots)
def test_closed_and_open_are_the_windows(dates: dict[str, date], n: int) -> None:
    timeline = split_closed_open(dates, n)
    parts = [*timeline.closed, timeline.open] if timeline.open else list(timeline.closed)
    assert [list(part) for part in parts] == windows(dates, n)
    assert all(len({dates[name] for name in window}) == n for window in timeline.closed)
    assert len({dates[name] for name in timeline.open}) < n


@given(release_dates, slots)
def test_a_later_release_never_changes_a_closed_window(dates: dict[str, date], n: int) -> None:
    before = split_closed_open(dates, n)
    after = split_closed_open({**dates, "newest": DAY + timedelta(days=99)}, n)
    assert after.closed[: len(before.closed)] == before.closed
