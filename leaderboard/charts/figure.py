"""What all figures share.

A figure is a plotly dict. Colours of text and lines are written as ``var(--name)``: the
page's script puts in the theme's value when it draws and again when the theme changes.
"""

from __future__ import annotations

from typing import Any

from leaderboard.charts import scale

Figure = dict[str, Any]

INK, MUTED, RULE, PAPER = "var(--ink)", "var(--muted)", "var(--rule)", "var(--paper)"
MISSING = "–"


def title(text: str, *, simulated: bool) -> dict[str, Any]:
    """A figure's title; it carries the mark of a simulated corpus, so a saved picture does too."""
    return {
        "text": f"{text} · Simulated corpus" if simulated else text,
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 0.98,
        "yanchor": "top",
        "font": {"size": 14, "color": INK},
    }


def legend() -> dict[str, Any]:
    """In a row above the figure."""
    return {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK}}


def auroc_heatmap(z: list[list[float | None]], hover: list[list[str]]) -> dict[str, Any]:
    """A heat map trace over categories 0, 1, … in both directions; missing cells stay empty."""
    return {
        "type": "heatmap",
        "z": z,
        "text": hover,
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
        "zmin": scale.CHANCE,
        "zmax": scale.PERFECT,
        "colorscale": scale.plotly_scale(),
        "colorbar": {
            "title": {"text": "AUROC", "side": "right", "font": {"color": MUTED}},
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            "ticktext": ["≤ 0.5", "0.6", "0.7", "0.8", "0.9", "1.0"],
            "tickfont": {"color": MUTED},
        },
    }


def axis(text: str, **more: Any) -> dict[str, Any]:
    """An axis of numbers with its title and a grid, which stays where it is."""
    return {
        "title": {"text": text, "font": {"color": MUTED}},
        "tickfont": {"color": MUTED},
        "gridcolor": RULE,
        "zeroline": False,
        "fixedrange": True,
        **more,
    }


def category_axis(labels: list[str], **more: Any) -> dict[str, Any]:
    """An axis of the categories 0, 1, … that shows every label."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
        "ticktext": labels,
        "tickfont": {"color": INK},
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "ticklabelstandoff": 6,
        "fixedrange": True,
        **more,
    }


def line(x0: float, y0: float, x1: float, y1: float, **style: Any) -> dict[str, Any]:
    return {"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, "line": style}


def path_over_cells(points: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """A dark line in a light casing, which shows on every colour of the scale and on both themes."""
    path = "M" + "L".join(f"{x},{y}" for x, y in points)
    styles = (
        {"color": scale.hex_code(scale.LIGHT_INK), "width": 5},
        {"color": scale.hex_code(scale.DARK_INK), "width": 2},
    )
    return [{"type": "path", "path": path, "line": style} for style in styles]


def short(text: str, n_characters: int = 26) -> str:
    """A label that leaves room for the chart; the hover text and the table hold the whole name."""
    return text if len(text) <= n_characters else f"{text[: n_characters - 1]}…"


def number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({number(low)}–{number(high)})"
