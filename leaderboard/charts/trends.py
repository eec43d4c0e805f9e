"""The figures of a board's trends: ranks from window to window, and quality against cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any

from leaderboard.charts import figure
from leaderboard.selectors.trends import Line, Point, Trends

# Okabe and Ito's colours whose contrast is above 3 on the light and on the dark page. With the dashes
# below no two lines look alike, and every line carries its name.
COLOURS = ("rgb(213, 94, 0)", "rgb(0, 114, 178)", "rgb(0, 158, 115)", "rgb(190, 92, 150)")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
SIGNS = dict(zip(SYMBOLS, "●■◆▲", strict=True))
# Beyond this rank the axis is logarithmic, or the places at the top would fall into one.
MOST_LINEAR = 30
HEIGHT_PX, LABEL_PX, NAME_CHARACTERS = 460, 190, 24
MARGIN_TOP_PX, MARGIN_BOTTOM_PX, LABEL_HEIGHT_PX = 48, 56, 17
TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)


def ranks_figure(trends: Trends) -> figure.Figure:
    """A line for each of the best detectors, through its rank in each forecast; rank 1 is on top."""
    assert trends.timeline is not None
    forecasts = trends.timeline.forecasts
    worst = max((rank for line in trends.lines for rank in line.ranks if rank), default=1)
    is_log = worst > MOST_LINEAR
    # Half a place of air above the first and below the last.
    bounds = (0.5, worst + 0.5) if not is_log else (0.8, worst * 1.25)
    ends = [log10(bound) for bound in bounds] if is_log else list(bounds)
    return {
        "data": [_line(line, i) for i, line in enumerate(trends.lines)],
        "layout": {
            "title": figure.title(
                "Rank in each window, before training on it",
                simulated=trends.benchmark.corpus.simulated,
            ),
            "height": HEIGHT_PX,
            "margin": {"l": 44, "r": LABEL_PX, "t": MARGIN_TOP_PX, "b": MARGIN_BOTTOM_PX},
            "showlegend": False,
            "hovermode": "closest",
            "xaxis": {
                **figure.category_axis(
                    [
                        f"w{window.index}<br>{'open' if window.is_open else f'{window.released_to:%Y-%m}'}"
                        for window in forecasts
                    ]
                ),
                "range": [-0.15, len(forecasts) - 0.98],
            },
            "yaxis": figure.axis(
                "rank",
                type="log" if is_log else "linear",
                range=ends[::-1],
                tickmode="array",
                tickvals=[tick for tick in TICKS if tick <= worst] if is_log else _whole(worst),
            ),
            "annotations": _labels(trends.lines, ends, is_log),
        },
    }


def _whole(worst: int) -> list[int]:
    step = 1 if worst <= 12 else 2 if worst <= 20 else 5
    return [rank for rank in range(1, worst + 1) if rank == 1 or rank % step == 0]


def _style(position: int) -> tuple[str, str, str]:
    return (
        COLOURS[position % len(COLOURS)],
        DASHES[position // len(COLOURS) % len(DASHES)],
        SYMBOLS[position // len(COLOURS) % len(SYMBOLS)],
    )


def _line(line: Line, position: int) -> dict[str, Any]:
    colour, dash, symbol = _style(position)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(line.name),
        "x": list(range(len(line.ranks))),
        "y": list(line.ranks),
        "text": [
            f"{escape(line.name)}<br>w{k + 1}: rank {rank if rank else figure.MISSING}, "
            f"AUROC {figure.number(auroc)}"
            for k, (rank, auroc) in enumerate(zip(line.ranks, line.aurocs, strict=True))
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"symbol": symbol, "size": 9, "color": colour},
    }


def _labels(lines: Sequence[Line], ends: Sequence[float], is_log: bool) -> list[dict[str, Any]]:
    """The name of each line at its right end, moved apart where lines end in one place."""
    room = HEIGHT_PX - MARGIN_TOP_PX - MARGIN_BOTTOM_PX

    def height(rank: int) -> float:
        """Pixels below the top of the axis."""
        place = log10(rank) if is_log else rank
        return room * (place - ends[0]) / (ends[1] - ends[0])

    last = [
        (i, k, rank)
        for i, line in enumerate(lines)
        for k, rank in [max(((k, r) for k, r in enumerate(line.ranks) if r), default=(0, None))]
        if rank
    ]
    last.sort(key=lambda end: (end[2], end[0]))
    places = spread([height(rank) for _, _, rank in last], LABEL_HEIGHT_PX, room)
    return [
        {
            "text": f'<span style="color:{_style(i)[0]}">{SIGNS[_style(i)[2]]}</span> '
            + escape(figure.short(lines[i].name, NAME_CHARACTERS)),
            "x": k,
            "xshift": 12,
            "xanchor": "left",
            "y": 1 - place / room,
            "yref": "paper",
            "yanchor": "middle",
            "showarrow": False,
            "font": {"color": figure.INK, "size": 12},
        }
        for (i, k, _), place in zip(last, places, strict=True)
    ]


def spread(places: Sequence[float], gap: float, end: float) -> list[float]:
    """Rising ``places`` moved by a sweep down and one up, so that neighbours are at least ``gap`` apart.

    None lies beyond ``end``; where there is no room for all of them, the first go below 0.
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    limit = end
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved


def tradeoff_figure(trends: Trends) -> figure.Figure:
    """Headline against seconds in containers, on a logarithmic axis; the front is a stepped line."""
    others = [point for point in trends.off_front if not point.null_row]
    null_rows = [point for point in trends.points if point.null_row]
    lows = [point.value for point in trends.points]
    return {
        "data": [
            _points("others", others, "rgb(0, 114, 178)", "circle-open", 7),
            _points("null rows", null_rows, figure.MUTED, "x", 8),
            _front(trends.on_front),
        ],
        "layout": {
            "title": figure.title("Quality against cost", simulated=trends.benchmark.corpus.simulated),
            "height": 420,
            "margin": {"l": 56, "r": 16, "t": 76, "b": 52},
            "hovermode": "closest",
            "legend": figure.legend(),
            "xaxis": figure.axis(
                "seconds in containers",
                type="log",
                dtick=1,
                exponentformat="none",
                separatethousands=True,
            ),
            "yaxis": figure.axis(
                "Next, average over time",
                range=[min([0.48, *(low - 0.02 for low in lows)]), 1.005],
                tickformat=".2f",
            ),
        },
    }


def _points(name: str, points: Sequence[Point], colour: str, symbol: str, size: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": f"{name} ({len(points):,})",
        "mode": "markers",
        # A logarithmic axis has no zero.
        "x": [max(point.cost_s, 0.1) for point in points],
        "y": [point.value for point in points],
        "text": [_hover(point) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": colour, "symbol": symbol, "size": size},
    }


def _front(points: Sequence[Point]) -> dict[str, Any]:
    """The best that can be had for each cost: flat until the next one costs more."""
    return {
        **_points("Pareto front", points, "rgb(213, 94, 0)", "diamond", 10),
        "mode": "lines+markers",
        "line": {"color": "rgb(213, 94, 0)", "width": 2, "shape": "hv"},
    }


def _hover(point: Point) -> str:
    return (
        f"{escape(point.name)}<br>{escape(point.team)}<br>"
        f"Next {figure.number(point.value)}{figure.interval(point.low, point.high)}<br>{point.cost_s:,.0f} s"
    )
