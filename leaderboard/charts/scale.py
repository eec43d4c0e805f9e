"""The one colour scale for AUROCs, in charts and in table cells.

Lightness rises all the way from chance to perfect, so the order survives every kind of
colour blindness and a grey print. What does worse than chance has chance's colour.
"""

from __future__ import annotations

from bisect import bisect_right

CHANCE, PERFECT = 0.5, 1.0

Rgb = tuple[int, int, int]

STOPS: tuple[tuple[float, Rgb], ...] = (
    (0.0, (38, 33, 82)),
    (0.2, (44, 74, 124)),
    (0.4, (38, 117, 143)),
    (0.6, (57, 158, 147)),
    (0.8, (138, 199, 147)),
    (1.0, (239, 233, 172)),
)

# On any colour one of the two has a contrast of at least √21 = 4.58.
DARK_INK, LIGHT_INK = (0, 0, 0), (255, 255, 255)


def hex_code(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def colour(value: float) -> Rgb:
    """The colour of an AUROC, interpolated between the stops."""
    position = min(max((value - CHANCE) / (PERFECT - CHANCE), 0.0), 1.0)
    upper = min(bisect_right([stop for stop, _ in STOPS], position), len(STOPS) - 1)
    (start, below), (end, above) = STOPS[upper - 1], STOPS[upper]
    share = (position - start) / (end - start)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(below, above, strict=True))
    return red, green, blue


def ink_on(background: Rgb) -> Rgb:
    """The text colour that contrasts more with ``background``."""
    return max(DARK_INK, LIGHT_INK, key=lambda ink: contrast(ink, background))


def contrast(first: Rgb, second: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21. Source: WCAG 2.2, definition of contrast ratio."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(rgb: Rgb) -> float:
    red, green, blue = (
        c / 12.92 if (c := channel / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for channel in rgb
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def plotly_scale() -> list[list[float | str]]:
    return [[stop, hex_code(rgb)] for stop, rgb in STOPS]
