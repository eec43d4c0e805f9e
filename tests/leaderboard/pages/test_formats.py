from __future__ import annotations

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


def test_a_whisker_puts_its_stroke_inside_its_bar() -> None:
    drawn = tidemark.whisker(Estimate(0.75, 0.7, 0.8), 0.5)
    assert drawn["low"] < drawn["value"] < drawn["high"]
    assert drawn["value"] == drawn["width"] / 2
    assert tidemark.whisker(Estimate(0.75), 0.5)["low"] is None


@pytest.mark.parametrize("enum", [SubmissionState, BatchState, RunState, StepState])
def test_every_state_has_a_sign_beside_its_name(enum: type) -> None:
    for state in enum:
        shown = tidemark.state(state)
        assert shown["name"] == state
        assert shown["sign"].strip()


def test_faults_come_from_the_catalogue() -> None:
    assert tidemark.fault("container_oom") is CATALOGUE["container_oom"]
    assert tidemark.fault("of another version") is None
