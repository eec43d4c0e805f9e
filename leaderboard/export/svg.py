"""Charts that a server draws, for pages that others embed: no script, colours by the classes of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.export.plain import isolated, line, xml
from leaderboard.selectors.estimates import Estimate

# Narrow, so that the text can be read on a phone.
WIDTH = 380
CHANCE = 0.5


@dataclass(frozen=True)
class Mark:
    """A value with its interval under a label; ``note`` stands below the label, or beside it."""

    label: str
    estimate: Estimate
    note: str = ""


def floor_of(marks: Sequence[Mark]) -> float:
    """Where the axis begins: chance, or the next tenth below the lowest bound."""
    lows = [e.low if e.low is not None else e.value for e in (m.estimate for m in marks)]
    lowest = min([CHANCE, *(low for low in lows if low is not None)])
    return int(lowest * 10) / 10


def timeline(marks: Sequence[Mark], *, label: str) -> str:
    """Values over time with their intervals, joined by a line that is broken where one is missing."""
    height, top, bottom, left, right = 250, 22, 46, 34, 14
    floor = floor_of(marks)
    step = (WIDTH - left - right) / max(1, len(marks))

    def x(k: int) -> float:
        return round(left + step * (k + 0.5), 1)

    def y(value: float) -> float:
        return round(top + (height - top - bottom) * (1 - (value - floor) / (1 - floor)), 1)

    grid = []
    n_tenths = round((1 - floor) * 10)
    for tenth in range(n_tenths + 1):
        value = floor + tenth / 10
        grid.append(
            f'<path class="grid" d="M{left} {y(value)}H{WIDTH - right}"/>'
            f"{_at(left - 6, y(value) + 4, f'{value:.1f}', 'muted', 'end')}"
        )
    # With many windows, labels would run into each other.
    every = max(1, -(-len(marks) // 7))
    drawn, points = [], ""
    joins = False
    for k, mark in enumerate(marks):
        if k % every == 0:
            drawn.append(_at(x(k), height - 26, _text(mark.label, 12)))
            drawn.append(_at(x(k), height - 10, _text(mark.note, 12), "muted"))
        estimate = mark.estimate
        if estimate.value is None:
            drawn.append(_at(x(k), y(floor) - 6, "–", "muted"))
            joins = False
            continue
        points += f"{'L' if joins else 'M'}{x(k)} {y(estimate.value)}"
        joins = True
        above = estimate.value
        if estimate.low is not None and estimate.high is not None:
            drawn.append(f'<path class="span" d="M{x(k)} {y(estimate.low)}V{y(estimate.high)}"/>')
            above = estimate.high
        drawn.append(f'<circle class="point" cx="{x(k)}" cy="{y(estimate.value)}" r="4"/>')
        if k % every == 0:
            drawn.append(_at(x(k), y(above) - 6, f"{estimate.value:.3f}"))
    joined = f'<path class="join" d="{points}"/>' if points else ""
    return _svg(height, label, "".join([*grid, joined, *drawn]))


def bars(marks: Sequence[Mark], *, label: str) -> str:
    """Values with their intervals below each other, over one axis, the best first."""
    row, top, right = 48, 6, 112
    height = top + row * len(marks) + 20
    floor = floor_of(marks)
    inner = WIDTH - right

    def x(value: float) -> float:
        return round(inner * (value - floor) / (1 - floor), 1)

    axis = "".join(
        _at(x(tick), height - 4, f"{tick:.1f}", "muted", anchor)
        for tick, anchor in ((floor, "start"), (1.0, "end"))
    )
    drawn = []
    for k, mark in enumerate(marks):
        above, middle = top + row * k + 16, top + row * k + 30
        estimate = mark.estimate
        name = f'<tspan class="muted">{xml(mark.note)}</tspan> {_text(mark.label, 38)}'
        drawn.append(_at(0, above, name, anchor="start"))
        drawn.append(f'<path class="rail" d="M0 {middle}H{inner}"/>')
        if estimate.value is None:
            continue
        drawn.append(f'<path class="bar" d="M0 {middle}H{x(estimate.value)}"/>')
        told = f"{estimate.value:.3f}"
        if estimate.low is not None and estimate.high is not None:
            drawn.append(f'<path class="span" d="M{x(estimate.low)} {middle}H{x(estimate.high)}"/>')
            told += f' <tspan class="muted">{estimate.low:.3f}–{estimate.high:.3f}</tspan>'
        drawn.append(f'<circle class="point" cx="{x(estimate.value)}" cy="{middle}" r="4"/>')
        drawn.append(_at(WIDTH, middle + 4, told, anchor="end"))
    return _svg(height, label, "".join([axis, *drawn]))


def _at(x: float, y: float, content: str, kind: str = "ink", anchor: str = "middle") -> str:
    """A text at a place; ``content`` is XML."""
    return f'<text class="{kind}" x="{x}" y="{round(y, 1)}" text-anchor="{anchor}">{content}</text>'


def _text(text: str, n_characters: int) -> str:
    return xml(isolated(line(text, n_characters)))


def _svg(height: int, label: str, inside: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{xml(line(label))}">{inside}</svg>'
    )
