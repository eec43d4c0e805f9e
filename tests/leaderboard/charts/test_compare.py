from __future__ import annotations

import json

import pytest

from leaderboard.board import TimelineGenerator
from leaderboard.charts.compare import SERIES, SPREAD, differences_figure
from leaderboard.charts.figure import Figure
from leaderboard.models import Generator, Submission
from leaderboard.selectors.compare import MOST, Cell, Comparison, comparison
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
Rows = list[tuple[TimelineGenerator, tuple[Cell, ...]]]


def compared(world: World) -> tuple[Comparison, Rows]:
    found = comparison(world.benchmark, [s.pk for s in world.succeeded], None)
    assert found is not None
    rows = [(row.generator, row.contact) for row in found.rows]
    return found, [row for row in rows if any(cell.estimate.value is not None for cell in row[1])]


def drawn(world: World) -> Figure:
    return differences_figure(*compared(world), "At first contact")


def test_every_difference_is_a_mark_with_its_interval(world: World) -> None:
    _, rows = compared(world)
    figure = drawn(world)
    assert len(figure["data"]) == 2
    for i, trace in enumerate(figure["data"]):
        differences = [cells[i + 1].difference for _, cells in rows]
        assert trace["x"] == [d.value for d in differences]
        assert trace["error_x"]["array"] == pytest.approx([d.high - d.value for d in differences], abs=1e-6)
        assert trace["error_x"]["arrayminus"] == pytest.approx(
            [d.value - d.low for d in differences], abs=1e-6
        )
        filled = [not symbol.endswith("-open") for symbol in trace["marker"]["symbol"]]
        assert filled == [d.differs for d in differences]
    assert figure["layout"]["yaxis"]["ticktext"][0].startswith("Blockwise quantisation")


def test_marks_of_one_generator_stand_in_its_room(world: World) -> None:
    for trace in drawn(world)["data"]:
        assert all(abs(y - round(y)) <= SPREAD / 2 for y in trace["y"])
    first, second = drawn(world)["data"]
    assert set(first["y"]) & set(second["y"]) == set()


def test_what_is_missing_is_not_drawn(world: World) -> None:
    found = comparison(world.benchmark, [world.succeeded[0].pk, world.running.pk], None)
    rows = [(row.generator, row.contact) for row in found.rows]
    (trace,) = differences_figure(found, rows, "x")["data"]
    assert len(trace["x"]) == 8
    assert None not in trace["x"]


def test_there_is_a_look_for_every_detector_that_can_be_compared() -> None:
    assert len({symbol for _, symbol in SERIES}) == len({rgb for rgb, _ in SERIES}) == MOST - 1


def test_names_cannot_bring_markup_and_the_figure_is_strict_json(world: World) -> None:
    evil = '<a href="x">bold</a>'
    Submission.objects.filter(pk__in=[s.pk for s in world.succeeded]).update(name=evil, state="withdrawn")
    Generator.objects.filter(slug="flow-2").update(name=evil)
    text = json.dumps(drawn(world), allow_nan=False)
    assert "<a" not in text
    assert "Simulated corpus" in text
