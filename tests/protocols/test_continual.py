from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.continual import (
    Transfer,
    backward_transfer,
    forgetting,
    forward_transfer,
    transfer,
    window_matrix,
)

# Rows: after training on window 0, 1, 2. Columns: scored on window 0, 1, 2.
HAND_MADE = [
    [0.90, 0.60, 0.55],
    [0.95, 0.80, 0.70],
    [0.70, 0.85, 0.90],
]


def test_on_the_hand_made_matrix() -> None:
    # Window 0 fell from its best 0.95 to 0.70; window 1 rose from its best 0.80 to 0.85.
    assert forgetting(HAND_MADE) == pytest.approx((0.25 - 0.05) / 2)
    # Window 0: 0.70 - 0.90; window 1: 0.85 - 0.80.
    assert backward_transfer(HAND_MADE) == pytest.approx((-0.20 + 0.05) / 2)
    # First contact: 0.60 with window 1, 0.70 with window 2, against chance.
    assert forward_transfer(HAND_MADE) == pytest.approx((0.10 + 0.20) / 2)
    assert forward_transfer(HAND_MADE, chance=0.6) == pytest.approx((0.0 + 0.10) / 2)


def test_forgetting_counts_from_the_best_even_before_its_own_training() -> None:
    assert forgetting([[0.5, 0.9, 0.5], [0.5, 0.6, 0.5], [0.5, 0.6, 0.5]]) == pytest.approx(0.15)


def test_an_open_window_is_ignored() -> None:
    opened = [[*row, 0.1] for row in HAND_MADE]
    for measure in (forgetting, backward_transfer, forward_transfer):
        assert measure(opened) == measure(HAND_MADE)


@pytest.mark.parametrize("measure", [forgetting, backward_transfer, forward_transfer])
@pytest.mark.parametrize("R", [[], [[0.9]]])
def test_fewer_than_two_windows_have_no_transfer(measure, R: list[list[float]]) -> None:
    assert measure(R) is None


def without(k: int, j: int) -> list[list[float | None]]:
    return [
        [None if (row, column) == (k, j) else HAND_MADE[row][column] for column in range(3)]
        for row in range(3)
    ]


@pytest.mark.parametrize(
    ("measure", "needed"),
    [
        (forgetting, {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)}),
        (backward_transfer, {(0, 0), (1, 1), (2, 0), (2, 1)}),
        (forward_transfer, {(0, 1), (1, 2)}),
    ],
)
def test_a_missing_score_is_felt_only_where_it_is_needed(measure, needed: set[tuple[int, int]]) -> None:
    for k in range(3):
        for j in range(3):
            expected = None if (k, j) in needed else measure(HAND_MADE)
            assert measure(without(k, j)) == expected


@given(
    st.integers(2, 6).flatmap(
        lambda k: st.lists(st.lists(st.floats(0, 1), min_size=k, max_size=k), min_size=k, max_size=k)
    )
)
def test_forgetting_bounds_backward_transfer(R: list[list[float]]) -> None:
    forgot, transferred = forgetting(R), backward_transfer(R)
    assert forgot is not None
    assert transferred is not None
    assert forgot >= -transferred - 1e-12


def test_a_windows_score_is_the_mean_over_its_generators() -> None:
    aurocs = {(0, "a"): 0.9, (0, "b"): 0.7, (0, "c"): 0.5, (1, "a"): 0.8, (1, "c"): 0.6, (2, "a"): 0.1}
    # After window 1 the score on b is missing, so the first window has none.
    assert window_matrix(aurocs, [["a", "b"], ["c"]]) == [[pytest.approx(0.8), 0.5], [None, 0.6]]
    assert window_matrix(aurocs, [[], ["c"]]) == [[None, 0.5], [None, 0.6]]
    assert window_matrix({}, []) == []


def test_a_window_that_nothing_is_scored_on_is_left_out() -> None:
    # Window 1 was trained on and is gone: what remains is window 0, and window 2 met after it.
    aurocs = {(k, j): HAND_MADE[k][j] for k in range(3) for j in (0, 2)}
    assert transfer(aurocs, [[0], [], [2]]) == Transfer(
        forgetting=pytest.approx(0.95 - 0.70),
        backward=pytest.approx(0.70 - 0.90),
        forward=pytest.approx(0.70 - 0.5),
    )
    assert transfer(aurocs, [[], [], []]) == Transfer(None, None, None)
    # A score that is missing is another matter.
    assert transfer(aurocs, [[0], [1], [2]]).forgetting is None


def test_all_windows_together() -> None:
    aurocs = {(k, j): HAND_MADE[k][j] for k in range(3) for j in range(3)}
    assert transfer(aurocs, [[0], [1], [2]]) == Transfer(
        forgetting(HAND_MADE), backward_transfer(HAND_MADE), forward_transfer(HAND_MADE)
    )
