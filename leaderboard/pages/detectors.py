"""A detector's report."""

from __future__ import annotations

import uuid
from datetime import date

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.charts.detector import matrix_figure, periods_figure
from leaderboard.charts.horizon import horizon_figure
from leaderboard.selectors import detectors
from leaderboard.selectors.estimates import Estimate
from protocols.horizon import months_between


@require_safe
def detector(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    found = detectors.detector(submission_id, request.user)
    if found is None:
        raise Http404("No detector that you may see has this address.")
    has_scores = any(cell.value is not None for row in found.matrix for cell in row)
    return render(
        request,
        "detectors/detector.html",
        {
            "detector": found,
            "submission": found.submission,
            "benchmark": found.submission.benchmark,
            "matrix_figure": matrix_figure(found) if has_scores else None,
            "periods_figure": periods_figure(found) if has_scores else None,
            "horizon_figure": horizon_figure(found) if has_scores else None,
            "lag_rows": _lag_rows(found),
            "averages": (found.entry.next, found.entry.past, found.entry.whole) if found.entry else (),
            "matrix_rows": _matrix_rows(found),
        },
    )


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
