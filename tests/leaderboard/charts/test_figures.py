from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser

from leaderboard.charts.contact import first_contact_figure
from leaderboard.charts.detector import matrix_figure, periods_figure
from leaderboard.models import Submission
from leaderboard.selectors.contacts import ContactMap, first_contact
from leaderboard.selectors.detectors import Detector, detector
from leaderboard.services.boards import board_touch, boards_refresh
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


@pytest.fixture
def contact(world: World) -> ContactMap:
    return first_contact(world.benchmark)


@pytest.fixture
def report(world: World) -> Detector:
    found = detector(world.succeeded[0].pk, VISITOR)
    assert found is not None
    return found


def test_the_contact_map_holds_the_tables_numbers(contact: ContactMap) -> None:
    figure = first_contact_figure(contact)
    heatmap, dots = figure["data"]
    marked = set(zip(dots["x"], dots["y"], strict=True))
    prospective = {
        (x, y) for y, row in enumerate(contact.rows) for x, cell in enumerate(row.cells) if cell.prospective
    }
    assert marked == prospective != set()
    assert heatmap["z"] == [[cell.value for cell in row.cells] for row in contact.rows]
    assert len(figure["layout"]["xaxis"]["ticktext"]) == len(contact.generators)
    failed = [row.entry.name for row in contact.rows].index("ensemble-of-everything")
    assert heatmap["z"][failed][4:] == [None] * (len(contact.generators) - 4)
    # Windows 1, 2, 3 and the open one leave three borders.
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [3.5, 7.5, 11.5]


def test_the_line_through_the_matrix_divides_seen_from_unseen(report: Detector) -> None:
    figure = matrix_figure(report)
    assert figure["data"][0]["z"] == [[cell.value for cell in row] for row in report.matrix]
    casing, line = figure["layout"]["shapes"]
    assert casing["path"] == line["path"]
    assert line["path"] == ("M3.5,-0.5L3.5,0.5L7.5,0.5L7.5,1.5L11.5,1.5L11.5,2.5L15.5,2.5L15.5,3.5")


def test_each_period_has_a_curve_and_the_band_of_its_intervals(report: Detector) -> None:
    traces = periods_figure(report)["data"]
    assert [trace.get("name") for trace in traces if "name" in trace] == ["Next", "Past", "Whole"]
    band, curve = traces[0], traces[1]
    assert curve["y"] == [row.next.auroc.value for row in report.periods]
    assert band["y"][:4] == [row.next.auroc.low for row in report.periods]
    assert band["y"][4:] == [row.next.auroc.high for row in reversed(report.periods)]
    assert len({(t["marker"]["symbol"], t["line"]["dash"]) for t in traces if "name" in t}) == 3


def test_a_missing_period_is_a_gap_and_in_no_band(world: World) -> None:
    traces = periods_figure(detector(world.running.pk, VISITOR))["data"]
    assert traces[1]["y"][2:] == [None, None]
    assert traces[0]["x"] == [0, 1, 1, 0]


def test_the_axis_goes_below_chance_where_an_interval_does(report: Detector) -> None:
    assert periods_figure(report)["layout"]["yaxis"]["range"][0] == 0.48
    worst = replace(report.periods[0].next.auroc, low=0.31)
    periods = (replace(report.periods[0], next=replace(report.periods[0].next, auroc=worst)),)
    assert periods_figure(replace(report, periods=periods))["layout"]["yaxis"]["range"][0] == pytest.approx(
        0.29
    )


@pytest.mark.parametrize("simulated", [True, False])
def test_every_title_marks_a_simulated_corpus(contact: ContactMap, report: Detector, simulated: bool) -> None:
    contact.benchmark.corpus.simulated = simulated
    report.submission.benchmark.corpus.simulated = simulated
    figures = [first_contact_figure(contact), matrix_figure(report), periods_figure(report)]
    assert all(("Simulated corpus" in f["layout"]["title"]["text"]) is simulated for f in figures)


def test_names_cannot_bring_markup_and_figures_are_strict_json(world: World) -> None:
    Submission.objects.filter(pk=world.succeeded[0].pk).update(name='<a href="x">bold</a>')
    board_touch(world.benchmark.pk)
    boards_refresh()
    text = json.dumps(first_contact_figure(first_contact(world.benchmark)), allow_nan=False)
    text += json.dumps(matrix_figure(detector(world.succeeded[0].pk, VISITOR)), allow_nan=False)
    assert "<a" not in text
    assert "&lt;a" in text
