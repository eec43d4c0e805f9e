from __future__ import annotations

from uuid import uuid4

import pytest

from leaderboard.pages.sorting import DEFAULT, columns, known_order, sort_rows
from leaderboard.selectors.boards import BoardRow
from leaderboard.selectors.entries import Average, Entry
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.steps import RunSteps


def row(name: str, next_: float | None, w1: float | None, cost_s: float | None) -> BoardRow:
    average = Average(Estimate(next_))
    entry = Entry(
        uuid4(),
        name,
        "owner",
        False,
        False,
        1,
        None,
        0,
        1,
        None,
        next=average,
        past=Average(),
        whole=Average(),
    )
    return BoardRow(entry, (Estimate(w1),), RunSteps(cost_s))


ROWS = [row("B", 0.9, 0.5, 30.0), row("a", 0.8, None, 10.0), row("c", None, 0.7, None)]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("-next", ["B", "a", "c"]),
        ("next", ["a", "B", "c"]),
        ("name", ["a", "B", "c"]),
        ("-name", ["c", "B", "a"]),
        ("-w1", ["c", "B", "a"]),
        ("w1", ["B", "c", "a"]),
        ("cost", ["a", "B", "c"]),
        ("-cost", ["B", "a", "c"]),
        ("-past", ["B", "a", "c"]),
    ],
)
def test_rows_without_a_value_come_last_either_way(order: str, names: list[str]) -> None:
    assert [row.entry.name for row in sort_rows(ROWS, order, 1)] == names


@pytest.mark.parametrize("order", ["", "w2", "--next", "'; DROP TABLE", "-"])
def test_an_unknown_order_is_the_rankings(order: str) -> None:
    assert known_order(order, 1) == DEFAULT


def test_a_second_click_turns_the_order_round() -> None:
    assert columns("-next", 1)["next"].link == "next"
    assert columns("next", 1)["next"].link == "-next"
    assert columns("-next", 1)["cost"].link == "cost"
    assert columns("cost", 1)["cost"].link == "-cost"
    assert {name: column.aria_sort for name, column in columns("-w1", 1).items()} == {
        "next": "none",
        "past": "none",
        "whole": "none",
        "name": "none",
        "cost": "none",
        "w1": "descending",
    }
    assert columns("cost", 1)["cost"].aria_sort == "ascending"
