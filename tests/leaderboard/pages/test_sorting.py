from __future__ import annotations

from leaderboard.board import MEANS
from leaderboard.pages.sorting import METRICS, columns
from leaderboard.selectors.selection import ORACLE, SORTABLE
from leaderboard.selectors.views import View


def test_the_first_click_puts_the_best_on_top_and_a_second_turns_it_round() -> None:
    plain = View()
    assert columns(plain, "-next", 1)["next"].query == "?sort=next"
    assert columns(plain, "next", 1)["next"].query == "?sort=-next"
    assert columns(plain, "-next", 1)["w1"].query == "?sort=-w1"
    for key in ("cost", "name", "forgetting", "equal_error_rate", "brier", "calibration_error"):
        assert columns(plain, "-next", 1)[key].query == f"?sort={key}", "less is better"
        assert columns(plain, key, 1)[key].query == f"?sort=-{key}"


def test_sorting_keeps_what_the_view_filters_and_goes_to_its_first_page() -> None:
    view = View(q="net", page=4, columns="windows", asof="edition-1")
    assert columns(view, "-next", 2)["w2"].query == "?columns=windows&sort=-w2&q=net&asof=edition-1"


def test_one_header_says_how_the_board_is_sorted() -> None:
    found = columns(View(), "-w1", 1)
    assert found.keys() == {"name", "w1", *SORTABLE}
    assert {key: column.aria_sort for key, column in found.items() if column.aria_sort != "none"} == {
        "w1": "descending"
    }
    assert columns(View(), "cost", 1)["cost"].aria_sort == "ascending"


def test_every_other_metric_is_an_average_of_the_board_and_only_the_oracle_never_sorts() -> None:
    assert {metric.key for metric in METRICS} == set(MEANS) - {"accuracy"}
    assert [metric.key for metric in METRICS if metric.key not in SORTABLE] == [ORACLE]
    assert [metric.key for metric in METRICS if metric.is_oracle] == [ORACLE]
