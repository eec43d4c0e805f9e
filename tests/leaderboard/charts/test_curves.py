from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leaderboard.charts.curves import histogram_figure, reliability_figure, roc_figure
from leaderboard.selectors.curves import Curves
from leaderboard.selectors.detectors import detector
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def curves(world: World) -> Curves:
    report = detector(world.succeeded[0].pk, None)
    assert report is not None
    assert report.curves is not None
    return report.curves


def test_the_roc_curve_has_its_points_and_a_mark_for_each_threshold(curves: Curves) -> None:
    curve, *marks = roc_figure(curves, simulated=False)["data"]
    assert curve["x"] == [p.fpr for p in curves.roc]
    assert curve["y"] == [p.tpr for p in curves.roc]
    assert [(m["x"], m["y"]) for m in marks] == [([p.fpr], [p.tpr]) for p in curves.points]
    # The symbols differ, so that nobody needs a colour to tell them apart.
    assert len({m["marker"]["symbol"] for m in marks}) == len(marks) == 4


def test_the_histogram_has_fakes_above_and_reals_below(curves: Curves) -> None:
    figure = histogram_figure(curves, simulated=False)
    fakes, reals = figure["data"]
    assert fakes["y"] == [b.fakes for b in curves.histogram]
    assert reals["y"] == [-b.reals for b in curves.histogram]
    assert fakes["marker"]["pattern"]["shape"] != reals["marker"]["pattern"]["shape"]
    ticks = figure["layout"]["yaxis"]
    assert ticks["tickvals"] == sorted(-tick for tick in ticks["tickvals"])
    assert not any("-" in text for text in ticks["ticktext"])
    assert max(ticks["tickvals"]) <= max(ticks["range"])


def test_both_thresholds_are_drawn_with_their_names_apart(curves: Curves) -> None:
    layout = histogram_figure(curves, simulated=False)["layout"]
    marked = [p for p in curves.points if p.name in ("0.5", "past")]
    assert [shape["x0"] for shape in layout["shapes"]] == [p.threshold for p in marked]
    assert [a["xanchor"] for a in layout["annotations"]] == ["right", "left"]
    assert {shape["line"]["dash"] for shape in layout["shapes"]} == {"solid", "dash"}
    alone = replace(curves, points=tuple(p for p in curves.points if p.name == "0.5"))
    assert [a["xanchor"] for a in histogram_figure(alone, simulated=False)["layout"]["annotations"]] == [
        "left"
    ]


def test_bins_that_are_not_told_are_not_drawn(curves: Curves) -> None:
    known = [b for b in curves.reliability if b.mean_score is not None]
    (trace,) = reliability_figure(curves, simulated=False)["data"]
    assert trace["x"] == [b.mean_score for b in known]
    assert trace["y"] == [b.share_of_fakes for b in known]
    nothing = replace(
        curves,
        reliability=tuple(replace(b, mean_score=None, share_of_fakes=None) for b in curves.reliability),
    )
    assert reliability_figure(nothing, simulated=False)["data"][0]["x"] == []


@pytest.mark.parametrize("figure", [roc_figure, histogram_figure, reliability_figure])
def test_titles_mark_a_simulated_corpus_and_figures_are_strict_json(curves: Curves, figure) -> None:
    assert "Simulated corpus" in figure(curves, simulated=True)["layout"]["title"]["text"]
    assert "Simulated corpus" not in json.dumps(figure(curves, simulated=False), allow_nan=False)
