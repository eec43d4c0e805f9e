"""The picture that a link to a page is shown with elsewhere (OpenGraph): a PNG of 1200 × 630 pixels.

Pictures are pure functions of a :class:`Card`, so equal cards are drawn once for as long as the process
remembers them, and nothing has to be made invalid.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw

from leaderboard.charts.scale import Rgb
from leaderboard.export.glyphs import drawable, fitted, font, width
from leaderboard.export.plain import line
from leaderboard.export.svg import Mark as Bar
from leaderboard.export.svg import floor_of

SIZE = (1200, 630)
MARGIN = 72
# So many pictures of some 30 kB a process remembers.
KEPT = 128
PAPER: Rgb = (251, 250, 246)
INK: Rgb = (23, 33, 43)
MUTED: Rgb = (84, 96, 108)
RULE: Rgb = (220, 219, 210)
SEA: Rgb = (11, 79, 108)
SPAN: Rgb = (86, 160, 184)
AMBER: Rgb = (251, 236, 203)
BROWN: Rgb = (106, 67, 0)


@dataclass(frozen=True)
class Card:
    """``bars``: values with intervals below each other. ``curve``: values over time beside ``figure``, one
    number in large with ``lines`` below it. With none of them there are waves.

    ``said`` stands below the title. ``instead`` is drawn for a title that the font has no letters for.
    """

    title: str
    said: str = ""
    figure: str = ""
    lines: tuple[str, ...] = ()
    bars: tuple[Bar, ...] = ()
    curve: tuple[float | None, ...] = ()
    foot: str = ""
    instead: str = ""
    simulated: bool = False


@lru_cache(maxsize=KEPT)
def png(card: Card) -> bytes:
    """The picture of a card."""
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    _head(draw, card)
    if card.bars:
        _bars(draw, card.bars)
    elif card.figure:
        _figure(draw, card)
        _curve(draw, card.curve)
    else:
        _waves(draw)
    _write(draw, (MARGIN, 566), card.foot, 26, MUTED, SIZE[0] - 2 * MARGIN)
    sink = io.BytesIO()
    # Few colours are drawn, and a palette makes the file a third as large.
    image.quantize(64).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    ink: Rgb,
    n_pixels: float,
    *,
    instead: str = "",
    anchor: str = "la",
) -> None:
    shown = fitted(drawable(line(text), instead), size, n_pixels)
    draw.text(at, shown, fill=ink, font=font(size), anchor=anchor)


def _head(draw: ImageDraw.ImageDraw, card: Card) -> None:
    draw.rectangle((0, 0, SIZE[0], 12), fill=SEA)
    draw.text((MARGIN, 52), "Tidemark", fill=SEA, font=font(34))
    if card.simulated:
        mark = "Simulated corpus"
        length = width(mark, 26)
        right = SIZE[0] - MARGIN
        draw.rounded_rectangle((right - length - 36, 48, right, 96), radius=8, fill=AMBER)
        draw.text((right - length - 18, 58), mark, fill=BROWN, font=font(26))
    # A long title is smaller before it is cut.
    shown = drawable(line(card.title), card.instead)
    size = next((size for size in (66, 54, 44) if width(shown, size) <= SIZE[0] - 2 * MARGIN), 44)
    _write(draw, (MARGIN, 122), shown, size, INK, SIZE[0] - 2 * MARGIN)
    _write(draw, (MARGIN, 206), card.said, 30, MUTED, SIZE[0] - 2 * MARGIN)


def _figure(draw: ImageDraw.ImageDraw, card: Card) -> None:
    _write(draw, (MARGIN, 272), card.figure, 130, INK, 420)
    for k, said in enumerate(card.lines[:3]):
        _write(draw, (MARGIN, 424 + 40 * k), said, 28, MUTED, 420)


def _waves(draw: ImageDraw.ImageDraw) -> None:
    """The sign of the site: crests that rise towards a mark."""
    for k, ink in enumerate((SPAN, SEA, INK)):
        y = 480 - 70 * k
        crest = [(x, y + (18 - 6 * k) * math.sin(x / 62 + k)) for x in range(0, SIZE[0] + 4, 4)]
        draw.line(crest, fill=ink, width=5, joint="curve")


def _bars(draw: ImageDraw.ImageDraw, bars: Sequence[Bar]) -> None:
    floor = floor_of(bars)
    left, right, top, row = MARGIN, SIZE[0] - MARGIN - 130, 262, 98

    def x(value: float) -> float:
        return left + (right - left) * (value - floor) / (1 - floor)

    for k, bar in enumerate(bars[:3]):
        y = top + row * k
        note = f"{drawable(bar.note)}   " if bar.note else ""
        draw.text((left, y), note, fill=MUTED, font=font(32))
        indent = width(note, 32)
        _write(draw, (left + indent, y), bar.label, 32, INK, right - left - indent)
        draw.rectangle((left, y + 50, right, y + 66), fill=RULE)
        estimate = bar.estimate
        if estimate.value is None:
            continue
        draw.rectangle((left, y + 50, max(x(estimate.value), left), y + 66), fill=SEA)
        if estimate.low is not None and estimate.high is not None:
            draw.rectangle((x(estimate.low), y + 54, x(estimate.high), y + 62), fill=SPAN)
        place = x(estimate.value)
        draw.rectangle((place - 2, y + 44, place + 2, y + 72), fill=INK)
        draw.text((SIZE[0] - MARGIN, y + 58), f"{estimate.value:.3f}", fill=INK, font=font(36), anchor="rm")


def _curve(draw: ImageDraw.ImageDraw, values: Sequence[float | None]) -> None:
    left, right, top, bottom = 590, SIZE[0] - MARGIN, 292, 510
    known = [value for value in values if value is not None]
    floor = min([0.5, *(int(value * 10) / 10 for value in known)])
    step = (right - left) / max(1, len(values) - 1)

    def place(k: int, value: float) -> tuple[float, float]:
        return left + step * k, bottom - (bottom - top) * (value - floor) / (1 - floor)

    for tick in (floor, 1.0):
        _, y = place(0, tick)
        draw.line((left, y, right, y), fill=RULE, width=2)
        draw.text((left - 14, y), f"{tick:.1f}", fill=MUTED, font=font(22), anchor="rm")
    points = [place(k, value) if value is not None else None for k, value in enumerate(values)]
    for before, after in pairwise(points):
        if before and after:
            draw.line((*before, *after), fill=SEA, width=5)
    for x, y in filter(None, points):
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=SEA)
