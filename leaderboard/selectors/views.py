"""A view of a board: what the reader filters and sorts by, and as of when. Every view has an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from leaderboard.selectors.standings import TRAINED, TRAINING_FREE

TRACKS = (TRAINED, TRAINING_FREE)
# Of the declared cut-off: there is one; there is none; it is before the first generator that is forecast.
PRETRAINING = ("declared", "undeclared", "before")
# What the columns of the table are: averages with the timeline in small, every window, or other metrics.
COLUMNS = ("windows", "metrics")
MAX_TEXT = 80
MAX_PAGE = 100_000
# The headline, highest first: the order of the ranking.
HEADLINE = "-next"


@dataclass(frozen=True)
class View:
    """What is asked for; an empty text asks for nothing.

    ``columns``: which set of columns the page's table has. ``sort``: a column, with "-" before it for
    highest first. ``family``: of generators; with it, or with ``prospective``, rows have the mean of
    their first contacts with those generators, or of the prospective ones. ``seeds``: the fewest
    seeds. ``asof``: a date, a moment, ``edition-N`` or the beginning of a board's digest.
    """

    columns: str = ""
    sort: str = ""
    q: str = ""
    track: str = ""
    pretraining: str = ""
    family: str = ""
    prospective: bool = False
    seeds: int = 1
    page: int = 1
    asof: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> View:
        """The view that an address asks for. What can't be meant is as if it were not there."""

        def text(name: str, known: tuple[str, ...] | None = None) -> str:
            value = str(asked.get(name, ""))[:MAX_TEXT].replace("\x00", "").strip()
            return value if known is None or value in known else ""

        def number(name: str, most: int) -> int:
            value = str(asked.get(name, ""))
            return (
                max(1, min(int(value), most)) if value.isascii() and value.isdigit() and len(value) < 9 else 1
            )

        return cls(
            columns=text("columns", COLUMNS),
            sort=text("sort"),
            q=text("q"),
            track=text("track", TRACKS),
            pretraining=text("pretraining", PRETRAINING),
            family=text("family"),
            prospective=str(asked.get("prospective", "")).lower() in ("1", "true", "on"),
            seeds=number("seeds", 99),
            page=number("page", MAX_PAGE),
            asof=text("asof"),
        )

    @property
    def is_focused(self) -> bool:
        """Whether it looks at first contacts with some generators only."""
        return bool(self.family or self.prospective)

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves out rows by what detectors are, or has a focus."""
        return bool(self.track or self.pretraining or self.is_focused or self.seeds > 1)

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.is_narrowed)

    @property
    def asked(self) -> dict[str, str]:
        """What the address of this view names: all that differs from the plain board."""
        return {
            field.name: "1" if value is True else str(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    def query(self, **changes: Any) -> str:
        """The query of the address of this view with ``changes``; "?" alone for the plain board."""
        return f"?{urlencode(replace(self, **changes).asked)}"

    @property
    def elsewhere(self) -> str:
        """What other pages of the benchmark are asked with: the board of the same day, and no filters."""
        return View(asof=self.asof).query() if self.asof else ""


def end_of(asof: str) -> datetime | None:
    """The last moment that a date (its end, UTC) or a moment names; ``None`` for what is neither."""
    try:
        day = date.fromisoformat(asof)
    except ValueError:
        pass
    else:
        return datetime.combine(day, time.min, UTC) + timedelta(days=1) if day < date.max else None
    try:
        moment = datetime.fromisoformat(asof)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
