from __future__ import annotations

import json
from datetime import date

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from leaderboard.charts.horizon import horizon_figure
from leaderboard.models import Generator, UnitScore
from leaderboard.selectors.detectors import Detector, detector
from leaderboard.selectors.horizon import frontiers
from protocols.horizon import Outcome, horizon, months_between
from tests.leaderboard.factories import EditionFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
VISITOR = AnonymousUser()


def report_of(world: World, position: int = 0) -> Detector:
    found = detector(world.succeeded[position].pk, VISITOR)
    assert found is not None
    return found


def test_the_frontier_is_the_newest_release_trained_on(world: World) -> None:
    days = frontiers(world.edition)
    assert [day.isoformat() for day in days] == ["2018-06-19", "2019-12-03", "2021-06-21", "2023-07-04"]
    assert frontiers(EditionFactory()) == ()


def test_a_corrected_date_does_not_unlearn_what_was_learnt(world: World) -> None:
    Generator.objects.filter(slug="nearest-blur").update(release_date=date(2019, 3, 20))
    Generator.objects.filter(slug="transposed-3").update(release_date=date(2020, 1, 1))
    assert [day.isoformat() for day in frontiers(world.edition)][:2] == ["2020-01-01", "2020-01-01"]


def test_every_score_of_the_matrix_is_a_point(world: World) -> None:
    report = report_of(world)
    generators = {g.slug: (j, g.release_date) for j, g in enumerate(report.timeline.generators)}
    assert len(report.horizon.points) == UnitScore.objects.filter(run=report.entry.run_id).count() == 4 * 17
    for point in report.horizon.points:
        column, released = generators[point.generator]
        assert point.auroc == report.matrix[point.checkpoint][column].value
        assert point.lag_months == months_between(report.frontiers[point.checkpoint], released)
        trained = report.timeline.generators[column].window <= point.checkpoint
        assert point.is_ahead is not trained
    assert report.horizon == horizon(report.horizon.points)


def test_a_detector_at_chance_is_below_from_the_start(world: World) -> None:
    UnitScore.objects.filter(run=report_of(world).entry.run_id).update(roc_auc=0.5)
    life = report_of(world).horizon.shelf_life
    assert (life.outcome, life.months) == (Outcome.BELOW_FROM_START, 0.0)


def test_an_unfinished_run_has_the_points_that_are_there(world: World) -> None:
    found = detector(world.running.pk, VISITOR)
    assert {point.checkpoint for point in found.horizon.points} == {0, 1}
    queued = detector(world.queued.pk, VISITOR)
    assert queued.horizon.shelf_life.outcome == Outcome.NO_DATA


class TestFigure:
    def test_it_holds_the_points_and_the_curve(self, world: World) -> None:
        report = report_of(world)
        figure = horizon_figure(report)
        band, behind, ahead, curve = figure["data"]
        points = report.horizon.points
        assert ahead["y"] == [point.auroc for point in points if point.is_ahead]
        assert behind["y"] == [point.auroc for point in points if not point.is_ahead]
        levels = report.horizon.curve
        assert curve["y"] == [level.value for level in levels for _ in range(2)]
        assert curve["x"] == sorted(curve["x"])
        assert (curve["x"][0], curve["x"][-1]) == (levels[0].start_months, levels[-1].end_months)
        assert band["y"][: len(curve["y"])] == [level.low for level in levels for _ in range(2)]
        assert "Simulated corpus" in figure["layout"]["title"]["text"]

    def test_the_fall_is_marked_where_there_is_one(self, world: World) -> None:
        report = report_of(world)
        marks = [shape["x0"] for shape in horizon_figure(report)["layout"]["shapes"]]
        assert (report.horizon.shelf_life.months in marks) is (
            report.horizon.shelf_life.outcome == Outcome.FELL
        )
        UnitScore.objects.filter(run=report.entry.run_id).update(roc_auc=0.99)
        assert len(horizon_figure(report_of(world))["layout"]["shapes"]) == 2

    def test_without_a_point_ahead_there_is_no_curve(self, world: World) -> None:
        UnitScore.objects.filter(run=report_of(world).entry.run_id, window__lt=3).delete()
        UnitScore.objects.filter(run=report_of(world).entry.run_id, unit__generator__slug="flow-2").delete()
        figure = horizon_figure(report_of(world))
        assert figure["data"][-1]["x"] == []
        json.dumps(figure, allow_nan=False)

    def test_names_cannot_bring_markup(self, world: World) -> None:
        Generator.objects.filter(slug="flow-2").update(name='<a href="x">bold</a>')
        text = json.dumps(horizon_figure(report_of(world)), allow_nan=False)
        assert "<a" not in text


class TestPage:
    def test_the_table_holds_the_curves_numbers(self, world: World, client: Client) -> None:
        report = report_of(world)
        html = client.get(f"/detectors/{world.succeeded[0].pk}/").content.decode()
        section = html.split('id="horizon"')[1].split("</section>")[0]
        for level in report.horizon.curve:
            assert f"{level.value:.3f}" in section
        assert section.count("<tr>") == len(report.horizon.curve) + 1 + 4 + 1
        assert "2018-06-19" in section

    @pytest.mark.parametrize(
        ("auroc", "text"),
        [(0.99, "it held 0.9 throughout the 73.5 months"), (0.6, "below 0.9 from the start")],
    )
    def test_censoring_is_said(self, world: World, client: Client, auroc: float, text: str) -> None:
        UnitScore.objects.filter(run=report_of(world).entry.run_id).update(roc_auc=auroc)
        html = client.get(f"/detectors/{world.succeeded[0].pk}/").content.decode()
        assert text in html

    def test_the_json_is_that_of_the_page(self, world: World, client: Client) -> None:
        report = report_of(world)
        data = client.get(f"/api/v1/detectors/{world.succeeded[0].pk}/").json()
        assert data["frontiers"] == [day.isoformat() for day in report.frontiers]
        assert len(data["horizon"]["points"]) == len(report.horizon.points)
        assert data["horizon"]["curve"][0]["value"] == report.horizon.curve[0].value
        assert data["horizon"]["shelf_life"]["months"] == report.horizon.shelf_life.months
        assert {row["prospective"] for row in data["generators"]} == {None, True}
        queued = client.get(f"/api/v1/detectors/{world.queued.pk}/").json()
        assert queued["horizon"]["shelf_life"]["outcome"] == "no_data"
