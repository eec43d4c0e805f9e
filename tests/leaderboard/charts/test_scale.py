from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from leaderboard.charts import scale


def lightness(rgb: scale.Rgb) -> float:
    """Contrast with black grows with luminance."""
    return scale.contrast(rgb, (0, 0, 0))


def test_lightness_rises_from_chance_to_perfect() -> None:
    values = [lightness(scale.colour(value)) for value in np.linspace(0.5, 1, 101)]
    assert all(later > earlier for earlier, later in pairwise(values))


@pytest.mark.parametrize("value", np.linspace(0.0, 1.0, 101))
def test_text_on_every_colour_meets_wcag_aa(value: float) -> None:
    background = scale.colour(value)
    assert scale.contrast(scale.ink_on(background), background) >= 4.5


def test_worse_than_chance_has_the_colour_of_chance() -> None:
    assert scale.colour(0.1) == scale.colour(0.5) == scale.STOPS[0][1]
    assert scale.colour(1.0) == scale.STOPS[-1][1]


def test_between_stops_colours_are_interpolated() -> None:
    (_, below), (_, above) = scale.STOPS[0], scale.STOPS[1]
    assert scale.colour(0.55) == tuple(round((a + b) / 2) for a, b in zip(below, above, strict=True))


def test_contrast_of_black_and_white_is_21() -> None:
    assert scale.contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert scale.contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
