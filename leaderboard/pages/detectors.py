"""A detector's report."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.charts.curves import histogram_figure, reliability_figure, roc_figure
from leaderboard.charts.detector import SERIES, matrix_figure, periods_figure
from leaderboard.charts.horizon import horizon_figure
from leaderboard.pages import sorting
from leaderboard.pages.citing import Citation, cite
from leaderboard.selectors import detectors
from leaderboard.selectors.detectors import Asked, Scores
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.lineage import SeedRun
from protocols.horizon import months_between
from protocols.periods import Period

# The columns of the table of metrics; AUROC stands before them with its interval.
METRICS = tuple(metric.key for metric in sorting.METRICS)
# Those of them, counted from 1, that begin a group of columns.
DIVIDERS = tuple(
    1 + METRICS.index(name)
    for name in ("balanced_accuracy", "tpr_at_fpr_1", "equal_error_rate", "brier", "past_balanced_accuracy")
)


@dataclass(frozen=True)
class Choice:
    """A link that shows another part of the report."""

    label: str
    query: str
    is_here: bool


@dataclass(frozen=True)
class MetricRow:
    """``values``: those of :data:`METRICS`. ``is_average``: over time, and not of one checkpoint."""

    label: str
    auroc: Estimate
    values: tuple[float | None, ...]
    is_average: bool = False


@require_safe
def detector(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    asked = Asked.of(request.GET)
    found = detectors.detector(submission_id, request.user, asked)
    if found is None:
        raise Http404("No detector that you may see has this address.")
    has_scores = any(cell.value is not None for row in found.matrix for cell in row)
    simulated = found.submission.benchmark.corpus.simulated
    curves = found.curves
    return render(
        request,
        "detectors/detector.html",
        {
            "detector": found,
            "submission": found.submission,
            "benchmark": found.submission.benchmark,
            # The standing that the head of the page shows: of the board that is asked for, or of now.
            "standing": found.then.entry if found.then else found.entry,
            "n_ranked": found.then.n_ranked if found.then else found.n_ranked,
            "matrix_figure": matrix_figure(found) if has_scores else None,
            "periods_figure": periods_figure(found) if has_scores else None,
            "horizon_figure": horizon_figure(found) if has_scores else None,
            "roc_figure": roc_figure(curves, simulated=simulated) if curves else None,
            "histogram_figure": histogram_figure(curves, simulated=simulated) if curves else None,
            "reliability_figure": reliability_figure(curves, simulated=simulated) if curves else None,
            "lag_rows": _lag_rows(found),
            "averages": (found.run.next, found.run.past, found.run.whole) if found.run else (),
            "matrix_rows": _matrix_rows(found),
            "dividers": DIVIDERS,
            "metric_groups": _metric_groups(found),
            "seeds": _seeds(found, asked),
            "windows": _windows(found, asked),
            "periods": _periods(found, asked),
            "citation": _citation(found),
        },
    )


def _query(asked: Asked, **changes: Any) -> str:
    """The query of this page with ``changes``."""
    wanted = {
        "seed": asked.seed,
        "window": asked.window,
        "period": asked.period,
        "asof": asked.asof,
    } | changes
    if wanted["period"] == Period.NEXT:
        del wanted["period"]
    return f"?{urlencode({name: value for name, value in wanted.items() if value not in (None, '')})}"


def _seeds(found: detectors.Detector, asked: Asked) -> list[tuple[SeedRun, Choice]]:
    return [
        (run, Choice(str(run.seed), _query(asked, seed=run.seed), is_here=run == found.run))
        for run in found.runs
    ]


def _windows(found: detectors.Detector, asked: Asked) -> list[Choice]:
    """The checkpoints that there are curves of on the period that is shown."""
    if found.curves is None:
        return []
    shown = found.curves
    return [
        Choice(f"w{row.window}", _query(asked, window=row.window), is_here=row.window == shown.window)
        for row in found.periods
        if row.of(shown.period).auroc.value is not None
    ]


def _periods(found: detectors.Detector, asked: Asked) -> list[Choice]:
    return [
        Choice(
            name,
            _query(asked, period=period),
            is_here=found.curves is not None and found.curves.period == period,
        )
        for period, (name, *_) in SERIES.items()
    ]


def _metric_groups(found: detectors.Detector) -> list[tuple[str, list[MetricRow]]]:
    """The metrics of each checkpoint on each period, and their averages over time."""
    groups = []
    for period, (name, *_) in SERIES.items():
        rows = [
            MetricRow(f"w{row.window}", scores.auroc, _values(scores))
            for row in found.periods
            for scores in [row.of(period)]
            if scores.auroc.value is not None
        ]
        if found.run and rows:
            means = found.run.means.get(period, {})
            average = {Period.NEXT: found.run.next, Period.PAST: found.run.past}.get(period, found.run.whole)
            values = tuple(means.get(metric) for metric in METRICS)
            rows.append(MetricRow("average over time", average.estimate, values, is_average=True))
        if rows:
            groups.append((name, rows))
    return groups


def _values(scores: Scores) -> tuple[float | None, ...]:
    return tuple(getattr(scores, metric) for metric in METRICS)


def _citation(found: detectors.Detector) -> Citation | None:
    """The citation of the standing that the page shows; none for what is on no public board."""
    shown = found.then.shown if found.then else found.shown
    entry = found.then.entry if found.then else found.entry
    if shown is None or entry is None or found.submission.pk not in shown.snapshot.position_of:
        return None
    return cite(found.submission, entry, shown, found.then.n_ranked if found.then else found.n_ranked)


def _matrix_rows(found: detectors.Detector) -> list[tuple[int, list[tuple[Estimate, bool]]]]:
    """Each window with its cells, and whether a cell is on the diagonal: the generator's own window."""
    generators = found.timeline.generators if found.timeline else ()
    return [
        (k, [(cell, g.window == k) for cell, g in zip(row, generators, strict=True)])
        for k, row in enumerate(found.matrix)
    ]


def _lag_rows(found: detectors.Detector) -> list[tuple[int, date, list[float]]]:
    """Each checkpoint with its frontier and the months to each generator's release."""
    generators = found.timeline.generators if found.timeline else ()
    return [
        (k, frontier, [months_between(frontier, g.release_date) for g in generators])
        for k, frontier in enumerate(found.frontiers)
    ]
