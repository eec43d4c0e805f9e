"""The home page, the leaderboards and the heat maps of first contact."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.charts.contact import first_contact_figure
from leaderboard.models import Benchmark
from leaderboard.pages import sorting
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import boards
from leaderboard.selectors.arrivals import latest_arrivals

# The axis of the intervals begins at chance, or at the next tenth below the lowest bound.
AXIS_FLOOR = 0.5


def _benchmark(slug: str) -> Benchmark:
    return get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)


def axis_floor(lows: list[float | None]) -> float:
    """Where the axis of a set of intervals begins, given their lower ends."""
    lowest = min([AXIS_FLOOR, *(low for low in lows if low is not None)])
    return int(lowest * 10) / 10


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    summaries = boards.benchmark_summaries(request.user)
    lows = [leader.estimate.low for summary in summaries for leader in summary.leaders]
    latest = latest_arrivals([summary.benchmark for summary in summaries])
    return render(
        request,
        "home.html",
        {
            "summaries": [(summary, latest[summary.benchmark.pk]) for summary in summaries],
            "floor": axis_floor(lows),
        },
    )


@require_safe
@vary_on_headers("HX-Request")
def leaderboard(request: HtmxRequest, slug: str) -> HttpResponse:
    """The whole page, or just the board when htmx asks."""
    board = boards.leaderboard(_benchmark(slug), request.user)
    forecasts = board.timeline.forecasts if board.timeline else ()
    asked, is_continual = request.GET.get("sort", sorting.DEFAULT), board.is_continual
    order = sorting.known_order(asked, len(forecasts), is_continual=is_continual)
    headers = sorting.columns(order, len(forecasts), is_continual=is_continual)
    lows = [
        average.estimate.low
        for row in board.rows
        for average in (row.entry.next, row.entry.past, row.entry.whole)
    ]
    context = {
        "board": board,
        "benchmark": board.benchmark,
        "rows": sorting.sort_rows(board.rows, order, len(forecasts)),
        "order": order,
        "headers": headers,
        "forecasts": [
            {"window": window, "key": f"w{window.index}", "column": headers[f"w{window.index}"]}
            for window in forecasts
        ],
        "floor": axis_floor(lows),
    }
    template = "board/_board.html" if request.htmx else "board/leaderboard.html"
    return render(request, template, context)


@require_safe
def first_contact(request: HttpRequest, slug: str) -> HttpResponse:
    contact = boards.first_contact(_benchmark(slug), request.user)
    figure = first_contact_figure(contact) if contact.rows and contact.generators else None
    return render(
        request,
        "board/first_contact.html",
        {"contact": contact, "benchmark": contact.benchmark, "figure": figure},
    )
