"""The figures of a batch: how its fakes and the reals beside them differ before any pixel is seen."""

from __future__ import annotations

from html import escape
from typing import Any

from leaderboard.charts import figure
from leaderboard.selectors.batches import Distribution

# Okabe and Ito's vermilion and blue; the hatching tells them apart without colour.
FAKES, REALS = "rgb(213, 94, 0)", "rgb(0, 114, 178)"
# More labels than these would overlap.
MOST_TICKS = 12
# Longer labels than these, taken together, stand at an angle.
MOST_CHARACTERS = 40


def distribution_figure(distribution: Distribution, *, simulated: bool) -> figure.Figure:
    """The share of fakes and of reals in each bin, side by side: the two add up to 100 % each."""
    labels = [escape(b.label) for b in distribution.bins]
    every = -(-len(labels) // MOST_TICKS)
    axis = figure.category_axis(
        labels, automargin=True, tickangle=-40 if sum(map(len, labels[::every])) > MOST_CHARACTERS else 0
    )
    axis |= {
        "tickvals": axis["tickvals"][::every],
        "ticktext": [figure.short(text, 14) for text in labels[::every]],
    }
    return {
        "data": [
            _bars("Fakes", [b.n_fakes for b in distribution.bins], labels, FAKES, "/"),
            _bars("Reals", [b.n_reals for b in distribution.bins], labels, REALS, ""),
        ],
        "layout": {
            "title": figure.title(distribution.title, simulated=simulated),
            "height": 280,
            "barmode": "group",
            "bargap": 0.25,
            "bargroupgap": 0.05,
            "margin": {"l": 44, "r": 8, "t": 64, "b": 36},
            "legend": figure.legend(),
            "xaxis": axis,
            "yaxis": figure.axis("share, %", rangemode="tozero"),
        },
    }


def _bars(name: str, counts: list[int], labels: list[str], colour: str, hatching: str) -> dict[str, Any]:
    total = sum(counts)
    return {
        "type": "bar",
        "name": f"{name} ({total:,})",
        "x": list(range(len(counts))),
        "y": [100 * n / total if total else None for n in counts],
        "text": [f"{label}: {n:,} of {total:,}" for label, n in zip(labels, counts, strict=True)],
        "textposition": "none",
        "hovertemplate": f"{name}, %{{text}} (%{{y:.1f}} %)<extra></extra>",
        "marker": {
            "color": colour,
            "pattern": {"shape": hatching, "fgcolor": figure.PAPER, "fillmode": "overlay", "size": 6},
        },
    }
