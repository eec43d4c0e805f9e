from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.periods import MECHANISMS, Period, averaged_steps, generators_at, window_range

WINDOWS = [["a", "b"], ["c"], ["d", "e"]]


@pytest.mark.parametrize(
    ("period", "at_first", "at_second", "at_last"),
    [
        (Period.NEXT, "c", "de", ""),
        (Period.PAST, "ab", "abc", "abcde"),
        (Period.WHOLE, "abc", "abcde", "abcde"),
        (Period.BEFORE, "", "ab", "abc"),
        (Period.ALL, "abcde", "abcde", "abcde"),
    ],
)
def test_the_generators_of_each_period(period: Period, at_first: str, at_second: str, at_last: str) -> None:
    assert ["".join(generators_at(period, step, WINDOWS)) for step in range(3)] == [
        at_first,
        at_second,
        at_last,
    ]


def test_only_the_paper_compatible_next_falls_back_to_the_last_window() -> None:
    assert generators_at(Period.NEXT, 2, WINDOWS, paper_compatible=True) == ["d", "e"]
    for period in Period:
        for step in range(3):
            if (period, step) != (Period.NEXT, 2):
                assert generators_at(period, step, WINDOWS, paper_compatible=True) == generators_at(
                    period, step, WINDOWS
                )


def test_every_period_has_its_official_name() -> None:
    assert {str(period): name for period, name in MECHANISMS.items()} == {
        "next": "immediate_future",
        "past": "growing",
        "whole": "growing_whole",
        "before": "past",
        "all": "all",
    }


def test_the_headline_averages_the_forecasts_and_the_paper_all_windows() -> None:
    for period in (Period.NEXT, Period.PAST, Period.WHOLE, Period.ALL):
        assert averaged_steps(period, 9) == list(range(8))
        assert averaged_steps(period, 9, paper_compatible=True) == list(range(9))
    assert averaged_steps(Period.BEFORE, 9) == list(range(1, 8))
    assert averaged_steps(Period.BEFORE, 9, paper_compatible=True) == list(range(1, 9))
    assert averaged_steps(Period.NEXT, 1) == []


@given(st.integers(1, 12), st.data())
def test_the_periods_fit_together(n_windows: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, n_windows - 1))
    covered = {period: set(window_range(period, step, n_windows)) for period in Period}
    assert covered[Period.NEXT].isdisjoint(covered[Period.PAST])
    assert covered[Period.NEXT] | covered[Period.PAST] == covered[Period.WHOLE]
    assert covered[Period.BEFORE] | {step} == covered[Period.PAST]
    assert step not in covered[Period.BEFORE]
    assert covered[Period.ALL] == set(range(n_windows))


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_outside_the_timeline_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="outside the timeline"):
        window_range(Period.NEXT, step, 3)
