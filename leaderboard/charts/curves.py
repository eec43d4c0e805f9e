"""The figures of one checkpoint's scores: the ROC curve, the scores by class, the calibration."""

from __future__ import annotations

from typing import Any

from leaderboard.charts import figure
from leaderboard.selectors.curves import Curves, OperatingPoint

# Okabe and Ito's vermilion and blue; a dash or a pattern tells them apart without colour.
FAKES, REALS = "213, 94, 0", "0, 114, 178"
HEIGHT_PX = 340
# The distance between ticks of shares is the shortest of these that leaves two on each side.
STEPS = (0.02, 0.05, 0.1, 0.2, 0.5)
MARGIN = {"l": 56, "r": 12, "t": 52, "b": 72}
LEGEND = {"font": {"size": 11, "color": figure.INK}, "bgcolor": "rgba(0,0,0,0)"}
# How operating points are drawn: the symbols differ, so that the legend is no matter of colour.
SYMBOLS = {"0.5": "circle", "past": "diamond", "1 % FPR": "triangle-up", "5 % FPR": "square"}
NAMES = {
    "0.5": "threshold 0.5",
    "past": "threshold of past windows",
    "1 % FPR": "1 % FPR",
    "5 % FPR": "5 % FPR",
}


def roc_figure(curves: Curves, *, simulated: bool) -> figure.Figure:
    """TPR against FPR, with the operating points and the diagonal of chance."""
    curve = {
        "type": "scatter",
        "name": "ROC curve",
        "mode": "lines",
        "x": [point.fpr for point in curves.roc],
        "y": [point.tpr for point in curves.roc],
        "text": [figure.number(point.threshold) for point in curves.roc],
        "hovertemplate": "FPR %{x:.3f}<br>TPR %{y:.3f}<br>threshold %{text}<extra></extra>",
        "line": {"color": f"rgb({FAKES})", "width": 2},
        "showlegend": False,
    }
    marks = [
        {
            "type": "scatter",
            "name": NAMES[point.name],
            "mode": "markers",
            "x": [point.fpr],
            "y": [point.tpr],
            "text": [f"{NAMES[point.name]} ({point.threshold:.3f})"],
            "hovertemplate": "%{text}<br>FPR %{x:.3f}<br>TPR %{y:.3f}<extra></extra>",
            "marker": {
                "symbol": SYMBOLS[point.name],
                "size": 11,
                "color": figure.INK,
                "line": {"color": figure.PAPER, "width": 1.5},
            },
        }
        for point in curves.points
    ]
    return {
        "data": [curve, *marks],
        "layout": _layout(
            "ROC curve",
            simulated,
            xaxis=_axis("reals called fake (FPR)", [-0.02, 1.02]),
            yaxis=_axis("fakes called fake (TPR)", [-0.02, 1.03]),
            margin=MARGIN | {"b": 44},
            # Below the diagonal there is room.
            legend={**LEGEND, "x": 1, "xanchor": "right", "y": 0.04, "yanchor": "bottom"},
            shapes=[figure.line(0, 0, 1, 1, width=1, color=figure.MUTED, dash="dot")],
        ),
    }


def histogram_figure(curves: Curves, *, simulated: bool) -> figure.Figure:
    """The shares of fakes, upwards, and of reals, downwards, by score; thresholds are upright lines."""
    centres = [round((b.low + b.high) / 2, 4) for b in curves.histogram]
    width = curves.histogram[0].high - curves.histogram[0].low
    ranges = [f"{b.low:.2f}–{b.high:.2f}" for b in curves.histogram]

    def bars(name: str, rgb: str, shares: list[float], sign: int, shape: str) -> dict[str, Any]:
        return {
            "type": "bar",
            "name": name,
            "x": centres,
            "y": [sign * share for share in shares],
            "width": width,
            "customdata": shares,
            "text": ranges,
            "textposition": "none",
            "hovertemplate": f"{name} %{{text}}<br>%{{customdata:.1%}}<extra></extra>",
            "marker": {
                "color": f"rgb({rgb})",
                "pattern": {
                    "shape": shape,
                    "fillmode": "overlay",
                    "fgcolor": figure.PAPER,
                    "size": 6,
                    "solidity": 0.2,
                },
            },
        }

    top = max([0.05, *(max(b.fakes, b.reals) for b in curves.histogram)]) * 1.08
    step = next(step for step in STEPS if top / step < 3)
    ticks = [round(step * n, 2) for n in range(-2, 3)]
    marked = [point for point in curves.points if point.name in ("0.5", "past")]
    return {
        "data": [
            bars("fakes", FAKES, [b.fakes for b in curves.histogram], 1, ""),
            bars("reals", REALS, [b.reals for b in curves.histogram], -1, "/"),
        ],
        "layout": _layout(
            "Scores by class",
            simulated,
            barmode="overlay",
            bargap=0,
            xaxis=_axis("score", [0, 1]),
            yaxis={
                **_axis("share of the class", [-top, top]),
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": [f"{abs(tick):.0%}" for tick in ticks],
                "zeroline": True,
                "zerolinecolor": figure.MUTED,
            },
            shapes=[
                {
                    **figure.line(
                        p.threshold,
                        0,
                        p.threshold,
                        1,
                        width=1.5,
                        color=figure.INK,
                        dash="solid" if p.name == "0.5" else "dash",
                    ),
                    "yref": "paper",
                }
                for p in marked
            ],
            annotations=[_label(p, is_left=i == 0 and len(marked) > 1) for i, p in enumerate(marked)],
        ),
    }


def _label(point: OperatingPoint, *, is_left: bool) -> dict[str, Any]:
    """The name of a threshold at the side of its line; of two the lower one has it on the left."""
    on_left = (is_left and point.threshold > 0.25) or point.threshold > 0.75
    return {
        "x": point.threshold,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": point.name if point.name == "0.5" else f"past {point.threshold:.3f}",
        "showarrow": False,
        "xanchor": "right" if on_left else "left",
        "xshift": -2 if on_left else 2,
        "font": {"size": 11, "color": figure.INK},
    }


def reliability_figure(curves: Curves, *, simulated: bool) -> figure.Figure:
    """The share of fakes against the mean score of each bin; the larger a mark, the more images."""
    known = [b for b in curves.reliability if b.mean_score is not None and b.share_of_fakes is not None]
    return {
        "data": [
            {
                "type": "scatter",
                "name": "bins",
                "mode": "lines+markers",
                "x": [b.mean_score for b in known],
                "y": [b.share_of_fakes for b in known],
                "text": [f"{b.low:.2f}–{b.high:.2f}: {b.share:.1%} of the images" for b in known],
                "hovertemplate": "%{text}<br>mean score %{x:.3f}<br>fakes %{y:.1%}<extra></extra>",
                "line": {"color": f"rgb({FAKES})", "width": 1.5},
                "marker": {
                    "color": f"rgb({FAKES})",
                    "size": [round(6 + 14 * b.share**0.5, 1) for b in known],
                    "line": {"color": figure.PAPER, "width": 1},
                },
                "showlegend": False,
            }
        ],
        "layout": _layout(
            "Reliability",
            simulated,
            margin=MARGIN | {"b": 44},
            xaxis=_axis("mean score of the bin", [-0.02, 1.02]),
            yaxis=_axis("share of fakes", [-0.02, 1.03]),
            shapes=[figure.line(0, 0, 1, 1, width=1, color=figure.MUTED, dash="dot")],
        ),
    }


def _layout(text: str, simulated: bool, **more: Any) -> dict[str, Any]:
    return {
        "title": figure.title(text, simulated=simulated),
        "height": HEIGHT_PX,
        "margin": MARGIN,
        "hovermode": "closest",
        "legend": {**LEGEND, "orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"},
        **more,
    }


def _axis(text: str, extent: list[float]) -> dict[str, Any]:
    axis = figure.axis(text, range=extent)
    axis["title"]["standoff"] = 6
    return axis
