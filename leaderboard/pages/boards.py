"""The home page, the leaderboards and the heat maps of first contact."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.charts.contact import first_contact_figure
from leaderboard.models import Benchmark
from leaderboard.pages import sorting
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import boards
from leaderboard.selectors.arrivals import latest_arrivals
from leaderboard.selectors.views import View

# The axis of the intervals begins at chance, or at the next tenth below the lowest bound.
AXIS_FLOOR = 0.5
NO_SUCH_BOARD = "This benchmark had no such board: name a day, edition-N or the digits of a board."


def _benchmark(slug: str) -> Benchmark:
    return get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)


def axis_floor(lows: list[float | None]) -> float:
    """Where the axis of a set of intervals begins, given their lower ends."""
    lowest = min([AXIS_FLOOR, *(low for low in lows if low is not None)])
    return int(lowest * 10) / 10


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    summaries = boards.benchmark_summaries(request.user)
    lows = [row.entry.next.estimate.low for summary in summaries for row in summary.leaders]
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
    view = View.of(request.GET)
    board = boards.leaderboard(_benchmark(slug), request.user, view)
    if board.shown is None and view.asof:
        raise Http404(NO_SUCH_BOARD)
    forecasts = board.timeline.forecasts if board.timeline else ()
    headers = sorting.columns(view, board.order, len(forecasts))
    lows = [
        average.estimate.low
        for row in (*board.rows, *board.own)
        for average in (row.entry.next, row.entry.past, row.entry.whole)
    ]
    context = {
        "board": board,
        "view": view,
        "benchmark": board.benchmark,
        "headers": headers,
        "forecasts": [
            {"window": window, "column": headers[f"w{position + 1}"]}
            for position, window in enumerate(forecasts)
        ],
        "floor": axis_floor(lows),
    }
    template = "board/_board.html" if request.htmx else "board/leaderboard.html"
    return render(request, template, context)


@require_safe
def first_contact(request: HttpRequest, slug: str) -> HttpResponse:
    view = View.of(request.GET)
    contact = boards.first_contact(_benchmark(slug), view)
    if contact.shown is None and view.asof:
        raise Http404(NO_SUCH_BOARD)
    figure = first_contact_figure(contact) if contact.rows and contact.generators else None
    return render(
        request,
        "board/first_contact.html",
        {"contact": contact, "view": view, "benchmark": contact.benchmark, "figure": figure},
    )
