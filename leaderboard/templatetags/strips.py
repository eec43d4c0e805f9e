"""How many scores lie, in a strip: the reach of all, the box of the middle half, the median, null rows."""

from __future__ import annotations

from typing import Any

from django import template

from leaderboard.pages.boards import axis_floor
from leaderboard.selectors.generator_page import Spread

register = template.Library()

# The strip is so many units wide, whatever the screen: places on it are per mille.
WIDTH = 1000


@register.inclusion_tag("generators/_strip.html")
def strip(spread: Spread) -> dict[str, Any]:
    """A spread over an axis from chance, or from the tenth below the lowest score, to 1."""
    floor = axis_floor([spread.least, *(null.auroc for null in spread.null_rows)])

    def place(value: float) -> int:
        return round(WIDTH * (value - floor) / (1 - floor))

    first, last = round(floor * 10), 10
    return {
        "spread": spread,
        "least": place(spread.least),
        "quarter": place(spread.quarter),
        "median": place(spread.median),
        "three_quarters": place(spread.three_quarters),
        "most": place(spread.most),
        "width": WIDTH,
        "null_rows": [(null, place(null.auroc), place(null.auroc) / 10) for null in spread.null_rows],
        "ticks": [(f"{n / 10:.1f}", place(n / 10) / 10) for n in range(first, last + 1)],
    }
