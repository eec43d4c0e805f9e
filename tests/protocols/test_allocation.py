from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.allocation import sample_reals, training_rows
from protocols.errors import DataError
from tests.protocols import reference

WINDOWS = [["a", "b"], ["c"], ["d"]]


@st.composite
def splits(draw: st.DrawFn) -> list[str]:
    """The generator of every row of a training split with enough reals."""
    fakes = draw(st.lists(st.sampled_from("abcd"), max_size=30))
    surplus = draw(st.integers(0, 5))
    return draw(st.permutations(fakes + [""] * (len(fakes) + surplus)))


@pytest.mark.shared
def test_the_rows_of_the_official_code() -> None:
    plan = reference.window_plan()
    rows, windows = plan["train_generator"], plan["windows"]
    assert training_rows(rows, windows, "cumulative") == plan["train_windows_cumulative"]
    assert training_rows(rows, windows, "continual") == plan["train_windows_continual_learning"]


@given(splits())
def test_a_window_trains_on_its_fakes_and_as_many_reals_each_used_once(generators: list[str]) -> None:
    lists = training_rows(generators, WINDOWS, "continual")
    used = [row for rows in lists for row in rows if not generators[row]]
    assert len(used) == len(set(used))
    for rows, window in zip(lists, WINDOWS, strict=True):
        fakes = [row for row in rows if generators[row]]
        assert fakes == [row for row, name in enumerate(generators) if name in window]
        assert len(rows) == 2 * len(fakes)
        assert all(not generators[row] for row in rows[: len(fakes)]), "reals come first"


@given(splits())
def test_cumulative_appends_the_list_of_the_window_before(generators: list[str]) -> None:
    alone = training_rows(generators, WINDOWS, "continual")
    grown = training_rows(generators, WINDOWS, "cumulative")
    assert grown == [alone[0], alone[1] + alone[0], alone[2] + alone[1] + alone[0]]


def test_the_draw_depends_on_the_set_of_reals_and_on_nothing_outside() -> None:
    ids = [f"{number:04x}" for number in range(200)]
    expected = sample_reals(ids, 50, window=3)
    random.seed(0)
    assert sample_reals(ids[::-1], 50, window=3) == expected
    assert sample_reals(ids, 50, window=4) != expected
    assert sample_reals(ids, 50, window=3, seed=1338) == sample_reals(ids, 50, window=4)


def test_the_draw_leaves_the_global_generator_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    training_rows(["", "a"], [["a"]], "cumulative")
    assert random.random() == expected


def test_too_few_reals_name_the_window_and_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"Window 1 .* 2 are missing") as caught:
        training_rows(["", "", "", "a", "a", "c", "c", "c"], WINDOWS, "cumulative")
    assert caught.value.code == "not_enough_reals"
