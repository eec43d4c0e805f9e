"""The heat map of first contact: detectors × generators in release order."""

from __future__ import annotations

from html import escape

from leaderboard.board import TimelineGenerator
from leaderboard.charts import figure
from leaderboard.selectors.contacts import ContactMap, ContactRow

ROW_PX, MARGIN_PX = 26, 250


def first_contact_figure(contact: ContactMap) -> figure.Figure:
    """The best detector is on top; a line divides the windows."""
    rows, generators = contact.rows, contact.generators
    borders = [
        figure.line(x - 0.5, -0.5, x - 0.5, len(rows) - 0.5, width=2, color=figure.PAPER)
        for x in range(1, len(generators))
        if generators[x].window != generators[x - 1].window
    ]
    return {
        "data": [
            figure.auroc_heatmap(
                [[cell.value for cell in row.cells] for row in rows],
                [[_hover(row, g, x) for x, g in enumerate(generators)] for row in rows],
            ),
            _prospective(contact),
        ],
        "layout": {
            "title": figure.title("AUROC at first contact", simulated=contact.benchmark.corpus.simulated),
            "height": ROW_PX * len(rows) + MARGIN_PX,
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "xaxis": figure.category_axis(
                [figure.short(escape(g.name)) for g in generators], tickangle=-55, automargin=True
            ),
            "yaxis": figure.category_axis(
                [figure.short(escape(row.entry.name)) for row in rows], autorange="reversed", automargin=True
            ),
            "shapes": borders,
        },
    }


def _prospective(contact: ContactMap) -> dict[str, object]:
    """A dot in every cell whose detector was sealed before the generator was published."""
    cells = [
        (x, y)
        for y, row in enumerate(contact.rows)
        for x, cell in enumerate(row.cells)
        if cell.prospective and cell.value is not None
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in cells],
        "y": [y for _, y in cells],
        "marker": {"size": 5, "color": "#ffffff", "line": {"color": "#000000", "width": 1}},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover(row: ContactRow, generator: TimelineGenerator, position: int) -> str:
    cell = row.cells[position]
    return (
        f"{escape(row.entry.name)}<br>{escape(generator.name)}, {generator.release_date.isoformat()}<br>"
        f"AUROC {figure.number(cell.value)}{figure.interval(cell.low, cell.high)}"
        f"{'<br>prospective' if cell.prospective else ''}"
    )
