from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from leaderboard.selectors.estimates import Estimate
from leaderboard.templatetags import tidemark
from protocols.errors import CATALOGUE
from protocols.states import BatchState, RunState, StepState, SubmissionState


def test_missing_is_a_dash_and_never_0() -> None:
    for write in (
        tidemark.score,
        tidemark.signed,
        tidemark.seconds,
        tidemark.count,
        tidemark.day,
        tidemark.moment,
    ):
        assert "–" in write(None)
        assert "0" not in write(None)
    assert tidemark.interval(Estimate(0.5)) == ""
    assert tidemark.heat(None) == ""


def test_numbers_line_up() -> None:
    assert tidemark.score(0.5) == "0.500"
    assert tidemark.interval(Estimate(0.5, 0.4, 0.61)) == "0.400–0.610"
    assert tidemark.signed(-0.01) == "−0.010"
    assert tidemark.signed(0.01) == "+0.010"
    assert tidemark.seconds(9.96) == "10.0"
    assert tidemark.seconds(0.04) == "0.0"
    assert tidemark.seconds(1234567.4) == "1\u202f234\u202f567"
    assert tidemark.count(240) == "240"


def test_dates_are_iso_and_times_utc() -> None:
    assert tidemark.day(date(2021, 3, 4)) == '<time datetime="2021-03-04">2021-03-04</time>'
    late = datetime(2021, 3, 4, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    assert '2021-03-05 <span class="clock">01:30:00 UTC</span>' in tidemark.moment(late)
    assert "+00:00" in tidemark.moment(datetime(2021, 3, 4, tzinfo=UTC))


def paths(svg: str) -> dict[str, list[str]]:
    """The paths of a small picture by their class."""
    found: dict[str, list[str]] = {}
    for name, drawn in re.findall(r'<path class="(\w+)" d="([^"]*)"/>', svg):
        found.setdefault(name, []).append(drawn)
    return found


def test_a_whisker_puts_its_stroke_inside_its_bar_and_the_bar_inside_its_line() -> None:
    drawn = paths(tidemark.whisker(Estimate(0.75, 0.7, 0.8), 0.5, Estimate(0.75, 0.6, 0.9)))
    (reach,), (span,), (point,) = drawn["reach"], drawn["span"], drawn["point"]
    ends = [[float(x) for x in re.findall(r"M([\d.]+) \d+H([\d.]+)", line)[0]] for line in (reach, span)]
    middle = tidemark.WHISKER_WIDTH / 2
    assert ends[0][0] < ends[1][0] < middle < ends[1][1] < ends[0][1]
    assert point.startswith(f"M{middle} ")
    assert paths(tidemark.whisker(Estimate(0.75), 0.5)).keys() == {"tick", "point"}
    assert paths(tidemark.whisker(Estimate(), 0.5)).keys() == {"tick"}


def test_a_sparkline_has_gaps_where_values_are_missing_and_tells_them() -> None:
    some = [Estimate(0.9, 0.85, 0.95), Estimate(0.8, 0.7, 0.9), Estimate(), Estimate(1.0)]
    svg = tidemark.sparkline(some, 0.5)
    assert "<title>AUROC window by window: 0.900, 0.800, no value, 1.000</title>" in svg
    drawn = paths(svg)
    assert len(drawn["curve"]) == 2
    assert len(drawn["band"]) == 1, "no interval, no band"
    (dots,) = drawn["dots"]
    heights = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)h0", dots)]
    assert heights[1] > heights[0] > heights[2], "better is higher up"
    places = [float(x) for x in re.findall(r"M([\d.]+) ", dots)]
    assert places[2] - places[1] == pytest.approx(2 * (places[1] - places[0]), abs=0.2), "a gap has its width"


def test_a_sparkline_stays_in_its_picture_and_without_values_has_none() -> None:
    svg = tidemark.sparkline([Estimate(0.1, 0.0, 0.2), Estimate(1.0, 1.0, 1.0)], 0.5)
    numbers = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", svg)]
    assert 0 <= min(numbers) <= max(numbers) <= tidemark.SPARK_HEIGHT
    assert "curve" not in paths(tidemark.sparkline([Estimate()], 0.5))
    assert "AUROC window by window: </title>" in tidemark.sparkline([], 0.5)


@pytest.mark.parametrize("enum", [SubmissionState, BatchState, RunState, StepState])
def test_every_state_has_a_sign_beside_its_name(enum: type) -> None:
    for state in enum:
        shown = tidemark.state(state)
        assert shown["name"] == state
        assert shown["sign"].strip()


def test_faults_come_from_the_catalogue() -> None:
    assert tidemark.fault("container_oom") is CATALOGUE["container_oom"]
    assert tidemark.fault("of another version") is None
