"""The figures of one detector: the matrix R, and its periods over time."""

from __future__ import annotations

from html import escape
from typing import Any

from leaderboard.board import TimelineGenerator
from leaderboard.charts import figure
from leaderboard.selectors.detectors import Detector, WindowPeriods
from protocols.periods import Period

# Okabe and Ito's vermilion, blue and green: apart for every kind of colour blindness, and with a
# contrast above 3 on the light and on the dark page. Marker and dash tell them apart without colour.
SERIES: dict[Period, tuple[str, str, str, str]] = {
    Period.NEXT: ("Next", "213, 94, 0", "circle", "solid"),
    Period.PAST: ("Past", "0, 114, 178", "square", "dash"),
    Period.WHOLE: ("Whole", "0, 158, 115", "diamond", "dot"),
}
ROW_PX, MARGIN_PX = 44, 250


def matrix_figure(detector: Detector) -> figure.Figure:
    """R[k, generator]: windows trained from top to bottom, generators in release order.

    The stepped line is the diagonal: left of it the detector has trained on the
    generator, right of it it has not.
    """
    assert detector.timeline is not None
    generators, matrix = detector.timeline.generators, detector.matrix
    return {
        "data": [
            figure.auroc_heatmap(
                [[cell.value for cell in row] for row in matrix],
                [
                    [_cell_hover(detector, k, j, g) for j, g in enumerate(generators)]
                    for k in range(len(matrix))
                ],
            )
        ],
        "layout": {
            "title": figure.title(
                f"AUROC after each window: {figure.short(escape(detector.submission.name), 40)}",
                simulated=detector.submission.benchmark.corpus.simulated,
            ),
            "height": ROW_PX * len(matrix) + MARGIN_PX,
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "xaxis": figure.category_axis(
                [figure.short(escape(g.name)) for g in generators], tickangle=-55, automargin=True
            ),
            "yaxis": figure.category_axis(
                [f"after w{k}" for k in range(len(matrix))], autorange="reversed", automargin=True
            ),
            "shapes": _staircase(generators, len(matrix)),
        },
    }


def _staircase(generators: tuple[TimelineGenerator, ...], n_rows: int) -> list[dict[str, Any]]:
    """The border between what each row's checkpoint was trained on and what it was not."""
    edges = [
        max((j + 1 for j, g in enumerate(generators) if g.window is not None and g.window <= k), default=0)
        for k in range(n_rows)
    ]
    corners = [(edge - 0.5, k + side) for k, edge in enumerate(edges) for side in (-0.5, 0.5)]
    return figure.path_over_cells(corners)


def _cell_hover(detector: Detector, window: int, position: int, generator: TimelineGenerator) -> str:
    cell = detector.matrix[window][position]
    return (
        f"after window {window}<br>{escape(generator.name)}, {generator.release_date.isoformat()}<br>"
        f"AUROC {figure.number(cell.value)}{figure.interval(cell.low, cell.high)}"
    )


def periods_figure(detector: Detector) -> figure.Figure:
    """Next, Past and Whole after each window, each with the band of its 95 % intervals."""
    rows = detector.periods
    data = [trace for period in SERIES for trace in _series(rows, period)]
    return {
        "data": data,
        "layout": {
            "title": figure.title(
                "AUROC over time", simulated=detector.submission.benchmark.corpus.simulated
            ),
            "height": 360,
            "margin": {"l": 52, "r": 12, "t": 72, "b": 48},
            "hovermode": "x unified",
            "legend": figure.legend(),
            "xaxis": figure.axis(
                "trained up to window",
                tickmode="array",
                tickvals=[row.window for row in rows],
                ticktext=[f"w{row.window}" for row in rows],
                range=[-0.3, len(rows) - 0.7],
                showgrid=False,
            ),
            "yaxis": figure.axis("AUROC", range=[_floor(rows), 1.005], tickformat=".2f"),
            "shapes": [
                {**figure.line(0, 0.5, 1, 0.5, width=1, color=figure.MUTED, dash="dot"), "xref": "paper"}
            ],
        },
    }


def _series(rows: tuple[WindowPeriods, ...], period: Period) -> list[dict[str, Any]]:
    name, rgb, symbol, dash = SERIES[period]
    known = [(row.window, row.of(period).auroc) for row in rows]
    banded = [(x, e.low, e.high) for x, e in known if e.low is not None and e.high is not None]
    band = {
        "type": "scatter",
        "x": [x for x, _, _ in banded] + [x for x, _, _ in reversed(banded)],
        "y": [low for _, low, _ in banded] + [high for _, _, high in reversed(banded)],
        "fill": "toself",
        "fillcolor": f"rgba({rgb}, 0.14)",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
    }
    curve = {
        "type": "scatter",
        "name": name,
        "legendgroup": name,
        "x": [x for x, _ in known],
        "y": [estimate.value for _, estimate in known],
        "text": [figure.interval(estimate.low, estimate.high) for _, estimate in known],
        "hovertemplate": "%{y:.3f}%{text}",
        "mode": "lines+markers",
        "line": {"color": f"rgb({rgb})", "width": 2, "dash": dash},
        "marker": {"symbol": symbol, "size": 8},
    }
    return [band, curve]


def _floor(rows: tuple[WindowPeriods, ...]) -> float:
    """The axis begins at chance, or lower where some interval does."""
    lows = [
        estimate.low
        for row in rows
        for estimate in (row.next.auroc, row.past.auroc, row.whole.auroc)
        if estimate.low is not None
    ]
    return min(0.48, *(low - 0.02 for low in lows)) if lows else 0.48
