"""Detectors side by side."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from leaderboard.charts.compare import differences_figure
from leaderboard.models import Benchmark
from leaderboard.selectors.compare import FEWEST, MOST, Comparison, comparison, offers
from leaderboard.selectors.views import MAX_TEXT


@require_safe
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """The comparison of the detectors that ``d`` names, and others to add."""
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    asked = ids_of(request.GET.getlist("d"))
    chosen, words = asked[:MOST], request.GET.get("q", "")[:MAX_TEXT].replace("\x00", "").strip()
    found = comparison(benchmark, chosen, request.user)
    if found is None:
        raise Http404("One of these detectors is not on this benchmark, or you may not see it.")
    is_whole = len(chosen) >= FEWEST
    return render(
        request,
        "compare/compare.html",
        {
            "benchmark": benchmark,
            "comparison": found,
            "is_whole": is_whole,
            "detectors": [
                {
                    "compared": compared,
                    "without": _query(others),
                    "leading": _query([compared.submission.pk, *others]),
                }
                for compared in found.detectors
                for others in [[pk for pk in chosen if pk != compared.submission.pk]]
            ],
            "tables": _tables(found) if is_whole else [],
            "words": words,
            "offers": offers(benchmark, request.user, words, without=chosen)
            if len(chosen) < MOST and (words or not is_whole)
            else [],
            "adding": _query(chosen),
            "chosen": chosen,
            "n_left_out": len(asked) - len(chosen),
            "is_full": len(chosen) >= MOST,
        },
    )


def _tables(found: Comparison) -> list[dict[str, Any]]:
    """The generators that any of the detectors has been scored on: at first contact, and now."""
    at_contact = [(row.generator, row.contact) for row in found.rows]
    now = [(row.generator, row.newest) for row in found.rows]
    tables = []
    for name, title, cells in (("contact", "At first contact", at_contact), ("now", "Now", now)):
        rows = [row for row in cells if any(cell.estimate.value is not None for cell in row[1])]
        if rows:
            figure = differences_figure(found, rows, title)
            tables.append({"name": name, "title": title, "rows": rows, "figure": figure})
    return tables


def ids_of(texts: Sequence[str]) -> list[uuid.UUID]:
    """The ids among some texts, each once, in their order. What is no id is as if it were not there."""
    found: dict[uuid.UUID, None] = {}
    for text in texts:
        try:
            found[uuid.UUID(text)] = None
        except ValueError:
            continue
    return list(found)


def _query(ids: Iterable[uuid.UUID]) -> str:
    return f"?{urlencode([('d', str(pk)) for pk in ids])}"
