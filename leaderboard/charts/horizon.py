"""The figure of a detector's horizon: AUROC against the months since its training frontier."""

from __future__ import annotations

from html import escape
from typing import Any

from leaderboard.charts import figure
from leaderboard.selectors.detectors import Detector
from protocols.horizon import THRESHOLD, Horizon, Level, Point

# Vermilion for what is ahead, as Next has it on the same page; what is behind is in the blue of Past.
AHEAD, BEHIND = "213, 94, 0", "0, 114, 178"
# What is older says little of the horizon and would take most of the room.
BEHIND_MONTHS = 24.0


def horizon_figure(detector: Detector) -> figure.Figure:
    """Every checkpoint on every generator; the curve with its band, and the threshold of shelf life."""
    assert detector.timeline is not None
    assert detector.horizon is not None
    names = {generator.slug: generator.name for generator in detector.timeline.generators}
    horizon = detector.horizon
    lags = [point.lag_months for point in horizon.points]
    end = max([1.0, *lags])
    return {
        "data": [
            *_band(horizon.curve),
            _points(horizon, names, ahead=False),
            _points(horizon, names, ahead=True),
            _curve(horizon.curve),
        ],
        "layout": {
            "title": figure.title(
                "AUROC by months ahead",
                simulated=detector.submission.benchmark.corpus.simulated,
            ),
            "height": 400,
            "margin": {"l": 52, "r": 12, "t": 92, "b": 48},
            "hovermode": "closest",
            "legend": figure.legend(),
            "xaxis": figure.axis(
                "months from frontier to release",
                range=[max(-BEHIND_MONTHS, min([-1.0, *lags])) - 1.5, end + 1.5],
                dtick=12 if end > 24 else 6,
                showgrid=False,
            ),
            "yaxis": figure.axis("AUROC", range=[_floor(horizon), 1.01], tickformat=".2f"),
            "shapes": [
                _edge(0, 0, 0, 1, "y", figure.MUTED, "solid"),
                _edge(0, THRESHOLD, 1, THRESHOLD, "x", figure.MUTED, "dot"),
                *_shelf(horizon),
            ],
        },
    }


def _edge(x0: float, y0: float, x1: float, y1: float, paper: str, color: str, dash: str) -> dict[str, Any]:
    """A line right across the figure in the direction that is given as a share of the paper."""
    return {**figure.line(x0, y0, x1, y1, width=1, color=color, dash=dash), f"{paper}ref": "paper"}


def _shelf(horizon: Horizon) -> list[dict[str, Any]]:
    months = horizon.shelf_life.months
    return [] if not months else [_edge(months, 0, months, 1, "y", f"rgb({AHEAD})", "dash")]


def _floor(horizon: Horizon) -> float:
    values = [point.auroc for point in horizon.points]
    return min([0.48, *(value - 0.02 for value in values)])


def _points(horizon: Horizon, names: dict[str, str], *, ahead: bool) -> dict[str, Any]:
    points = [point for point in horizon.points if point.is_ahead == ahead]
    return {
        "type": "scatter",
        "name": "newer than the frontier" if ahead else "as old as the frontier, or older",
        "mode": "markers",
        "x": [round(point.lag_months, 2) for point in points],
        "y": [point.auroc for point in points],
        "text": [_hover(point, names) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": f"rgba({AHEAD if ahead else BEHIND}, 0.75)",
            "symbol": "circle" if ahead else "square-open",
            "size": 7 if ahead else 6,
        },
    }


def _hover(point: Point, names: dict[str, str]) -> str:
    return (
        f"{escape(names[point.generator])}<br>after window {point.checkpoint}, "
        f"{point.lag_months:+.1f} months<br>AUROC {figure.number(point.auroc)}"
    )


def _steps(curve: tuple[Level, ...], values: list[float]) -> tuple[list[float], list[float]]:
    """The corners of a step function that keeps a level's value until the next begins."""
    starts = [level.start_months for level in curve]
    ends = [*starts[1:], curve[-1].end_months]
    xs = [x for pair in zip(starts, ends, strict=True) for x in pair]
    return xs, [value for value in values for _ in range(2)]


def _curve(curve: tuple[Level, ...]) -> dict[str, Any]:
    xs, ys = _steps(curve, [level.value for level in curve]) if curve else ([], [])
    return {
        "type": "scatter",
        "name": "curve",
        "mode": "lines+markers" if len(curve) == 1 else "lines",
        "x": xs,
        "y": ys,
        "hoverinfo": "skip",
        "line": {"color": figure.INK, "width": 2},
        "marker": {"size": 1, "color": figure.INK},
    }


def _band(curve: tuple[Level, ...]) -> list[dict[str, Any]]:
    bounds = [(level.low, level.high) for level in curve]
    lows = [low for low, _ in bounds if low is not None]
    highs = [high for _, high in bounds if high is not None]
    if not curve or len(lows) < len(curve) or len(highs) < len(curve):
        return []
    xs, below = _steps(curve, lows)
    _, above = _steps(curve, highs)
    return [
        {
            "type": "scatter",
            "x": [*xs, *reversed(xs)],
            "y": [*below, *reversed(above)],
            "fill": "toself",
            "fillcolor": f"rgba({AHEAD}, 0.14)",
            "line": {"width": 0},
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
