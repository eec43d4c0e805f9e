from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.charts.trends import COLOURS, ranks_figure, spread, tradeoff_figure
from leaderboard.selectors.trends import Point, Trends, trends
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(world: World) -> Trends:
    return trends(world.benchmark)


def test_every_line_goes_through_its_ranks_and_has_its_name_at_its_end(found: Trends) -> None:
    figure = ranks_figure(found)
    assert [trace["y"] for trace in figure["data"]] == [list(line.ranks) for line in found.lines]
    labels = {label["text"].split("</span> ")[1]: label for label in figure["layout"]["annotations"]}
    assert labels.keys() == {line.name for line in found.lines}
    for line, trace in zip(found.lines, figure["data"], strict=True):
        assert f"color:{trace['line']['color']}" in labels[line.name]["text"]
    assert {label["x"] for label in labels.values()} == {3}
    by_place = sorted(found.lines, key=lambda line: line.ranks[-1] or 0)
    heights = [labels[line.name]["y"] for line in by_place]
    assert heights == sorted(heights, reverse=True), "the first is on top"
    top, bottom = figure["layout"]["yaxis"]["range"]
    assert top > bottom


def test_a_line_that_breaks_off_has_its_name_where_it_ends(found: Trends) -> None:
    broken = replace(found.lines[0], ranks=(2, 1, None, None))
    without = replace(found.lines[1], ranks=(None,) * 4)
    figure = ranks_figure(replace(found, lines=(broken, without)))
    (label,) = figure["layout"]["annotations"]
    assert label["text"].endswith(f" {broken.name}")
    assert label["x"] == 1


def test_far_ranks_are_on_a_logarithmic_axis(found: Trends) -> None:
    assert ranks_figure(found)["layout"]["yaxis"]["type"] == "linear"
    far = replace(found.lines[0], ranks=(1, 800, 3, 2))
    axis = ranks_figure(replace(found, lines=(far,)))["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert axis["tickvals"] == [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500]
    assert axis["range"][1] < 0 < 2.9 < axis["range"][0]


def test_fifteen_lines_look_different(found: Trends) -> None:
    many = tuple(replace(found.lines[0], name=f"d{i}") for i in range(15))
    drawn = ranks_figure(replace(found, lines=many))["data"]
    looks = [(trace["line"]["color"], trace["line"]["dash"]) for trace in drawn]
    assert len(set(looks)) == 15
    assert len({colour for colour, _ in looks}) == len(COLOURS)


@given(st.lists(st.floats(0, 400), max_size=15).map(sorted))
def test_labels_are_moved_apart_and_stay_in_order(places: list[float]) -> None:
    moved = spread(places, 17, 400)
    assert len(moved) == len(places)
    assert all(b - a >= 17 - 1e-6 for a, b in pairwise(moved))
    assert all(place <= 400 for place in moved)


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([0, 50, 100], 17, 400) == [0, 50, 100]


def traces(figure: dict[str, Any]) -> dict[str, Any]:
    return {trace["name"].split(" (")[0]: trace for trace in figure["data"]}


def test_the_scatter_holds_the_tables_numbers(found: Trends) -> None:
    null_row = replace(found.points[-1], name="null", null_row="constant", cost_s=0.0, value=0.41)
    figure = tradeoff_figure(replace(found, points=(*found.points, null_row)))
    drawn = traces(figure)
    front = drawn["Pareto front"]
    assert list(zip(front["x"], front["y"], strict=True)) == [(p.cost_s, p.value) for p in found.on_front]
    assert drawn["others"]["y"] == [p.value for p in found.points if not p.is_on_front]
    assert drawn["null rows"]["y"] == [0.41]
    assert drawn["null rows"]["x"] == [0.1], "a logarithmic axis has no zero"
    assert figure["layout"]["yaxis"]["range"][0] == pytest.approx(0.39)


@pytest.mark.parametrize("simulated", [True, False])
def test_both_mark_a_simulated_corpus(found: Trends, simulated: bool) -> None:
    found.benchmark.corpus.simulated = simulated
    for figure in (ranks_figure(found), tradeoff_figure(found)):
        assert ("Simulated corpus" in figure["layout"]["title"]["text"]) is simulated


def test_names_cannot_bring_markup_and_figures_are_strict_json(found: Trends) -> None:
    name = "<b>x</b>"
    lines = tuple(replace(line, name=name) for line in found.lines)
    points: tuple[Point, ...] = tuple(replace(point, name=name, team=name) for point in found.points)
    hostile = replace(found, lines=lines, points=points)
    text = json.dumps([ranks_figure(hostile), tradeoff_figure(hostile)], allow_nan=False)
    assert "<b>" not in text
    assert "&lt;b&gt;" in text
