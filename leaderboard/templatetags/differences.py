"""How differences and p-values are written."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from leaderboard.selectors.estimates import Estimate
from leaderboard.templatetags.tidemark import MINUS, MISSING

register = template.Library()

# Below this a p-value says no more than that it is small.
SMALLEST_P = 0.0001


@register.filter
def signed_interval(difference: Estimate) -> str:
    """The bounds of a difference with their signs, or nothing."""
    if difference.low is None or difference.high is None:
        return ""
    return f"{difference.low:+.3f} to {difference.high:+.3f}".replace("-", MINUS)


@register.filter
def p_value(value: float | None) -> str | SafeString:
    """A p-value with four decimals, or that it is below the smallest of them."""
    if value is None:
        return MISSING
    return f"< {SMALLEST_P}" if value < SMALLEST_P else f"{value:.4f}"
