"""The figure of a comparison: differences of AUROC with their intervals, generator by generator."""

from __future__ import annotations

from html import escape
from typing import Any

from leaderboard.board import TimelineGenerator
from leaderboard.charts import figure
from leaderboard.selectors.compare import Cell, Comparison, Difference

# Apart for every kind of colour blindness and with a contrast above 3 on both themes: Okabe and Ito's
# vermilion, blue and green, Tol's purple, and a grey. Each has a symbol of its own besides.
SERIES = (
    ("213, 94, 0", "circle"),
    ("0, 114, 178", "square"),
    ("0, 158, 115", "diamond"),
    ("170, 68, 153", "triangle-up"),
    ("119, 127, 135", "cross"),
)
# How much of the room of a generator its marks take.
SPREAD = 0.6
GENERATOR_PX, TOP_PX, BOTTOM_PX = 24, 44, 96


def differences_figure(
    comparison: Comparison, rows: list[tuple[TimelineGenerator, tuple[Cell, ...]]], text: str
) -> figure.Figure:
    """``rows``: the generators from top to bottom, in release order, each with the cells of all detectors.

    A filled mark is a difference that the test tells apart, an open one is not.
    """
    first, *others = comparison.detectors
    # More marks need more room, though not as many times as they are.
    plot_px = round(GENERATOR_PX * max(1, len(others)) ** 0.5 * len(rows))
    gap = SPREAD / max(len(others), 1)
    data = [
        _series(
            other.submission.name,
            *SERIES[i],
            points=[
                (y + gap * (i - (len(others) - 1) / 2), generator, difference)
                for y, (generator, cells) in enumerate(rows)
                if (difference := cells[i + 1].difference) is not None
            ],
        )
        for i, other in enumerate(others)
    ]
    return {
        "data": data,
        "layout": {
            "title": figure.title(
                f"{text}, against {figure.short(escape(first.submission.name), 30)}",
                simulated=comparison.benchmark.corpus.simulated,
            ),
            "height": plot_px + TOP_PX + BOTTOM_PX,
            "margin": {"l": 8, "r": 12, "t": TOP_PX, "b": BOTTOM_PX},
            "hovermode": "closest",
            "legend": {
                "orientation": "h",
                "x": 0,
                # Below the axis and its title, where it may take as many lines as it needs.
                "y": -56 / plot_px,
                "yanchor": "top",
                "font": {"color": figure.INK},
            },
            "xaxis": figure.axis(
                "difference of AUROC", tickformat="+.2f", zeroline=True, zerolinecolor=figure.INK
            ),
            "yaxis": figure.category_axis(
                [figure.short(escape(generator.name)) for generator, _ in rows],
                range=[len(rows) - 0.5, -0.5],
                automargin=True,
            ),
        },
    }


def _series(
    name: str, rgb: str, symbol: str, *, points: list[tuple[float, TimelineGenerator, Difference]]
) -> dict[str, Any]:
    values = [d.value for _, _, d in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": figure.short(escape(name), 30),
        "showlegend": True,
        "x": values,
        "y": [round(y, 3) for y, _, _ in points],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(d.value, d.high) for _, _, d in points],
            "arrayminus": [_reach(d.value, d.low) for _, _, d in points],
            "color": f"rgb({rgb})",
            "thickness": 1.5,
            "width": 0,
        },
        "text": [f"{escape(g.name)}, {g.release_date.isoformat()}<br>{_words(d)}" for _, g, d in points],
        "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
        "marker": {
            "symbol": [symbol if d.differs else f"{symbol}-open" for _, _, d in points],
            "size": 8,
            "color": f"rgb({rgb})",
            "line": {"width": 1.5, "color": f"rgb({rgb})"},
        },
    }


def _reach(value: float | None, end: float | None) -> float:
    """How far an interval goes on one side; no way where there is none."""
    return 0.0 if value is None or end is None else round(abs(end - value), 6)


def _words(difference: Difference) -> str:
    value = "–" if difference.value is None else f"{difference.value:+.3f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} ({difference.low:+.3f} to {difference.high:+.3f})"
