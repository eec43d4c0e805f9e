"""How numbers, times, states and charts are written on pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from leaderboard.charts import scale
from leaderboard.selectors.estimates import Estimate
from leaderboard.theme import THEMES, theme_of
from protocols.errors import CATALOGUE, ErrorEntry

register = template.Library()

MISSING = mark_safe('<span class="missing" title="no value">–</span>')
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

WHISKER_WIDTH, WHISKER_HEIGHT, WHISKER_PAD = 108, 14, 4
SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 112, 32, 3

# The shape beside the name of a state, so that colour is never the only sign.
STATE_SIGNS = {
    "succeeded": "✓",
    "accepted": "✓",
    "published": "✓",
    "delivered": "✓",
    "running": "▸",
    "checking": "▸",
    "trial": "▸",
    "uploading": "▸",
    "failed": "✕",
    "rejected": "✕",
    "cancelled": "∅",
    "withdrawn": "∅",
    "sealed": "◆",
    "alive": "✓",
    "stopped": "∅",
    "lost": "✕",
    "in trouble": "!",
    # What the desk asks for.
    "nobody works": "✕",
    "storage full": "✕",
    "objects missing": "✕",
    "worker lost": "✕",
    "worker in trouble": "!",
    "platform failures": "✕",
    "budget spent": "!",
    "edition waits": "◆",
    "batch sealed": "◆",
    "batch rejected": "✕",
}
STATE_TONES = {
    "succeeded": "good",
    "accepted": "good",
    "published": "good",
    "delivered": "good",
    "running": "live",
    "checking": "live",
    "trial": "live",
    "uploading": "live",
    "failed": "bad",
    "rejected": "bad",
    "alive": "good",
    "lost": "bad",
    "in trouble": "bad",
    "nobody works": "bad",
    "storage full": "bad",
    "objects missing": "bad",
    "worker lost": "bad",
    "worker in trouble": "bad",
    "platform failures": "bad",
    "budget spent": "live",
    "edition waits": "live",
    "batch sealed": "live",
}


@register.filter
def score(value: float | None) -> str | SafeString:
    """A fraction of 1 with three decimals."""
    return MISSING if value is None else f"{value:.3f}"


@register.filter
def signed(value: float | None) -> str | SafeString:
    """A difference with its sign."""
    return MISSING if value is None else f"{value:+.3f}".replace("-", MINUS)


@register.filter
def interval(estimate: Estimate) -> str:
    """The bounds of a 95 % interval, or nothing."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.low:.3f}–{estimate.high:.3f}"


@register.filter
def seconds(value: float | None) -> str | SafeString:
    """Seconds: whole ones with thousands apart, one decimal below ten."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}".replace(",", THIN_SPACE)


@register.filter
def about(value: float) -> str:
    """A guessed time in seconds, as coarse as a guess should be."""
    if value < 45:
        return "less than a minute"
    minutes = round(value / 60)
    if minutes < 90:
        return f"about {minutes} min"
    hours = round(value / 3600)
    return f"about {hours} h" if hours < 48 else f"about {round(value / 86400)} days"


@register.filter
def of(values: Mapping[Any, Any], key: object) -> Any:
    """What ``values`` has under a key that a template knows as a variable, or nothing."""
    return values.get(key)


@register.filter
def months(value: float | None) -> str | SafeString:
    """Months with one decimal."""
    return MISSING if value is None else f"{value:.1f}".replace("-", MINUS)


@register.filter
def count(value: int | None) -> str | SafeString:
    """A whole number with thousands apart."""
    return MISSING if value is None else f"{value:,}".replace(",", THIN_SPACE)


@register.filter
def percent(share: float) -> str:
    return f"{share:.0%}"


@register.filter
def day(value: date | datetime | None) -> SafeString:
    """An ISO date."""
    if value is None:
        return MISSING
    return format_html('<time datetime="{0}">{0}</time>', value.strftime("%Y-%m-%d"))


@register.filter
def moment(value: datetime | None) -> SafeString:
    """An ISO date with the time of day in UTC."""
    if value is None:
        return MISSING
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{} <span class="clock">{}</span></time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d"),
        utc.strftime("%H:%M:%S UTC"),
    )


@register.filter
def heat(value: float | None) -> SafeString:
    """The style of a table cell that shows an AUROC in the charts' colour scale."""
    if value is None:
        return mark_safe("")
    background = scale.colour(value)
    return format_html(
        ' style="background:{};color:{}"',
        scale.hex_code(background),
        scale.hex_code(scale.ink_on(background)),
    )


@register.simple_tag
def whisker(estimate: Estimate, floor: float, generators: Estimate | None = None) -> SafeString:
    """An estimate as a stroke on the bar of its interval, over an axis from ``floor`` to 1.

    ``generators``: the estimate with its interval over generators, as a thin line behind the bar.
    """

    def place(value: float) -> float:
        inner = WHISKER_WIDTH - 2 * WHISKER_PAD
        return round(WHISKER_PAD + inner * (value - floor) / (1 - floor), 1)

    width, bottom, middle = WHISKER_WIDTH, WHISKER_HEIGHT, WHISKER_HEIGHT // 2
    paths = [("tick", f"M{place(tick)} 0V{bottom}") for tick in (0.5, 0.75, 1.0)]
    for name, bounds in (("reach", generators), ("span", estimate)):
        if bounds and bounds.low is not None and bounds.high is not None:
            paths.append((name, f"M{place(bounds.low)} {middle}H{place(bounds.high)}"))
    if estimate.value is not None:
        paths.append(("point", f"M{place(estimate.value)} 1V{bottom - 1}"))
    return SafeString(
        f'<svg class="whisker" viewBox="0 0 {width} {bottom}" width="{width}" height="{bottom}" '
        f'aria-hidden="true">{_drawn(paths)}</svg>'
    )


@register.simple_tag
def sparkline(estimates: Sequence[Estimate], floor: float) -> SafeString:
    """AUROCs from window to window as a small curve in the band of their intervals; missing ones are gaps.

    What it shows is told in words to those who can't see it, and to a pointer.
    """
    step = (SPARK_WIDTH - 2 * SPARK_PAD) / max(len(estimates) - 1, 1)

    def x(position: int) -> float:
        return round(SPARK_PAD + step * position, 1)

    def y(value: float) -> float:
        share = (max(value, floor) - floor) / (1 - floor)
        return round(SPARK_HEIGHT - SPARK_PAD - (SPARK_HEIGHT - 2 * SPARK_PAD) * share, 1)

    paths = [("tick", f"M0 {y(0.5)}H{SPARK_WIDTH}")]
    known = [(k, e, e.value) for k, e in enumerate(estimates) if e.value is not None]
    # Neighbours have one curve: their position in the list and in time differ by the same.
    for _, members in groupby(enumerate(known), key=lambda place: place[0] - place[1][0]):
        run = [member for _, member in members]
        lows = [f"{x(k)} {y(e.low)}" for k, e, _ in run if e.low is not None]
        highs = [f"{x(k)} {y(e.high)}" for k, e, _ in run if e.high is not None]
        if len(lows) == len(highs) == len(run):
            paths.append(("band", f"M{'L'.join([*lows, *reversed(highs)])}Z"))
        paths.append(("curve", f"M{'L'.join(f'{x(k)} {y(value)}' for k, _, value in run)}"))
    paths.append(("dots", "".join(f"M{x(k)} {y(value)}h0" for k, _, value in known)))
    return format_html(
        '<svg class="spark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img">'
        "<title>AUROC window by window: {2}</title>{3}</svg>",
        SPARK_WIDTH,
        SPARK_HEIGHT,
        ", ".join("no value" if e.value is None else f"{e.value:.3f}" for e in estimates),
        _drawn(paths),
    )


def _drawn(paths: Sequence[tuple[str, str]]) -> SafeString:
    """Paths of an SVG, each with its class.

    Both are made here of names and numbers. To escape them took a tenth of a board's rendering.
    """
    return SafeString("".join(f'<path class="{name}" d="{path}"/>' for name, path in paths))


@register.inclusion_tag("parts/state.html")
def state(name: str) -> dict[str, str]:
    """The name of a state with its sign."""
    return {"name": name, "sign": STATE_SIGNS.get(name, "·"), "tone": STATE_TONES.get(name, "idle")}


@register.simple_tag
def fault(code: str) -> ErrorEntry | None:
    """What the catalogue says of an error code."""
    return CATALOGUE.get(code)


@register.inclusion_tag("parts/chart.html")
def chart(figure: dict[str, Any], name: str, summary: str) -> dict[str, Any]:
    """A figure for the page's script to draw. ``summary`` says in a sentence what it shows."""
    return {"figure": figure, "name": name, "data_id": f"{name}-data", "summary": summary}


@register.simple_tag(takes_context=True)
def current_theme(context: template.Context) -> str:
    request: HttpRequest | None = context.get("request")
    return theme_of(request) if request else THEMES[0]


@register.simple_tag
def themes() -> tuple[str, ...]:
    return THEMES
