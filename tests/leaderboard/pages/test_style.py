"""The colours of both themes, read from the style sheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from leaderboard.charts import compare
from leaderboard.charts.detector import SERIES
from leaderboard.charts.scale import Rgb, contrast
from leaderboard.charts.trends import COLOURS


def blocks() -> dict[str, dict[str, Rgb]]:
    """The custom colours of each rule that sets them, by selector."""
    path = finders.find("tidemark/tidemark.css")
    assert isinstance(path, str)
    css = Path(path).read_text(encoding="utf-8").split("@media print")[0]
    found = {}
    for selector, body in re.findall(r"(:root[^\s{]*) \{([^}]*--paper[^}]*)\}", css):
        found[selector] = {
            name: (int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16))
            for name, code in re.findall(r"--([a-z-]+): #([0-9a-f]{6});", body)
        }
    return found


LIGHT = blocks()[":root"]
DARK = blocks()[':root[data-theme="dark"]']


def test_dark_is_the_same_whether_chosen_or_the_systems() -> None:
    assert blocks()[':root[data-theme="auto"]'] == DARK
    assert set(LIGHT) == set(DARK)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "muted", "link", "good", "bad", "live"])
@pytest.mark.parametrize("ground", ["paper", "sunken", "raised"])
def test_text_meets_wcag_aa(theme: dict[str, Rgb], text: str, ground: str) -> None:
    assert contrast(theme[text], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_and_shapes_meet_wcag_aa(theme: dict[str, Rgb]) -> None:
    assert contrast(theme["mark-ink"], theme["mark"]) >= 4.5
    assert contrast(theme["mark-ink"], theme["paper"]) >= 4.5
    assert contrast(theme["paper"], theme["link"]) >= 4.5, "the primary button"
    assert contrast(theme["accent"], theme["paper"]) >= 3, "progress bars and focus"
    curves = [rgb for _, rgb, _, _ in SERIES.values()] + [rgb for rgb, _ in compare.SERIES]
    for rgb in curves:
        red, green, blue = (int(part) for part in rgb.split(","))
        assert contrast((red, green, blue), theme["paper"]) >= 3, "curves"
    for colour in COLOURS:
        red, green, blue = (int(part) for part in re.findall(r"\d+", colour))
        assert contrast((red, green, blue), theme["paper"]) >= 3, "lines of ranks"
