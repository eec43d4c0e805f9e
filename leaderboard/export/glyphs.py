"""The one font that pictures are drawn with, and badges measured by: what Pillow has built in.

It has little more than ASCII. That is enough for most names of detectors, and a font for all scripts of
the world weighs more than this whole project; what it lacks is written with what it has.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import cast

from PIL import ImageFont

# Drawn in place of a sign that the font does not have.
SUBSTITUTE = "?"
_NO_CHARACTER = "\U0010ffff"
# How people write these with what the font has.
_WRITTEN = {
    **{"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
    **{"đ": "d", "Đ": "D", "ı": "i", "–": "-", "—": "-", "−": "-", "×": "x", "’": "'", "‘": "'"},
    **{"“": '"', "”": '"', "≤": "<=", "≥": ">=", "→": "->"},
}


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def width(text: str, size: int) -> float:
    """In pixels at ``size`` pixels."""
    return float(font(size).getlength(text))


@lru_cache(maxsize=4096)
def _has(sign: str) -> bool:
    """Whether the font has the sign: else it draws the box that it draws for what is no character."""
    drawn, box = (font(32).getmask(text) for text in (sign, _NO_CHARACTER))
    return (drawn.size, bytes(drawn)) != (box.size, bytes(box))


def drawable(text: str, instead: str = "") -> str:
    """The text with what the font can draw of it: accents go where it lacks the letter with them.

    ``instead``: what to draw where less than half of the letters are left.
    """
    drawn = "".join(map(_drawable, text))
    lost = drawn.count(SUBSTITUTE) - text.count(SUBSTITUTE)
    return instead if instead and 2 * lost > len(text) else drawn


def _drawable(sign: str) -> str:
    if sign == " " or _has(sign):
        return sign
    if sign in _WRITTEN:
        return _WRITTEN[sign]
    bare = "".join(c for c in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(c))
    return bare if bare and all(c == " " or _has(c) for c in bare) else SUBSTITUTE


def fitted(text: str, size: int, n_pixels: float) -> str:
    """As much of the text as fits, with an ellipsis where it was cut."""
    if width(text, size) <= n_pixels:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(f"{text[:middle].rstrip()}…", size) <= n_pixels:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}…"
