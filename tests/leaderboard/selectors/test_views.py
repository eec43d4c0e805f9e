from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.selectors.views import View, end_of

ANY_TEXT = st.text(max_size=120)


def test_nothing_asked_is_the_plain_board() -> None:
    view = View.of({})
    assert view == View()
    assert (view.query(), view.elsewhere, view.asked) == ("?", "", {})
    assert not view.is_filtered


def test_every_field_is_read_and_written() -> None:
    view = View.of(
        QueryDict(
            "columns=metrics&sort=-past&q=+n+&track=trained&pretraining=before&family=flow"
            "&prospective=on&seeds=2&page=3&asof=edition-2"
        )
    )
    assert view == View("metrics", "-past", "n", "trained", "before", "flow", True, 2, 3, "edition-2")
    assert View.of(dict(parse_qsl(view.query()[1:]))) == view
    assert view.query(page=1, asof="") == (
        "?columns=metrics&sort=-past&q=n&track=trained&pretraining=before&family=flow&prospective=1&seeds=2"
    )
    assert view.elsewhere == "?asof=edition-2"


@pytest.mark.parametrize(
    "asked",
    [
        {"columns": "all", "track": "free", "pretraining": "yes", "prospective": "no"},
        {"page": "0", "seeds": "-1"},
        {"page": "1e3", "seeds": "٣"},
        {"page": "", "seeds": "9" * 30},
        {"q": " \x00 ", "family": "", "sort": "\t", "asof": "\n"},
    ],
)
def test_what_cannot_be_meant_is_as_if_it_were_not_there(asked: dict[str, str]) -> None:
    assert View.of(asked) == View()


@given(st.dictionaries(st.sampled_from([field.name for field in fields(View)]), ANY_TEXT))
def test_an_address_is_its_own(asked: dict[str, str]) -> None:
    """What a view names leads back to it, so that nobody is sent round in circles."""
    view = View.of(asked)
    again = View.of(QueryDict(view.query()[1:]))
    assert again == view
    assert QueryDict(view.query()[1:]).dict() == view.asked


@pytest.mark.parametrize(
    ("asof", "end"),
    [
        ("2026-03-02", datetime(2026, 3, 3, tzinfo=UTC)),
        ("2026-03-02T10:30", datetime(2026, 3, 2, 10, 30, tzinfo=UTC)),
        ("2026-03-02T10:30+02:00", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ("2026-02-30", None),
        ("9999-12-31", None),
        ("yesterday", None),
        ("0001-01-01T00:00+23:59", None),
        ("", None),
    ],
)
def test_a_day_lasts_to_its_end_and_a_moment_is_one(asof: str, end: datetime | None) -> None:
    assert end_of(asof) == end
