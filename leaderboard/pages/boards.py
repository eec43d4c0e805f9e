"""The home page and the pages of a board: the leaderboard, the heat map of first contact, the trends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.charts.contact import first_contact_figure
from leaderboard.charts.trends import ranks_figure, tradeoff_figure
from leaderboard.delivery.shelf import Shelf
from leaderboard.models import Benchmark
from leaderboard.pages import sorting
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import boards, contacts, selection
from leaderboard.selectors.arrivals import latest_arrivals
from leaderboard.selectors.rows import BoardRow
from leaderboard.selectors.snapshots import Shown, past_boards, withdrawn_since
from leaderboard.selectors.summaries import benchmark_summaries
from leaderboard.selectors.trends import trends as trends_of
from leaderboard.selectors.views import View

# The axis of the intervals begins at chance, or at the next tenth below the lowest bound.
AXIS_FLOOR = 0.5
# Tables that this process has drawn: drawing fifty rows takes longer than all else of a page.
TABLES: Shelf[SafeString] = Shelf(256, 64 * 2**20)
TABLE_KEPT_S = 3600.0


def _benchmark(slug: str) -> Benchmark:
    return get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)


def axis_floor(lows: list[float | None]) -> float:
    """Where the axis of a set of intervals begins, given their lower ends."""
    lowest = min([AXIS_FLOOR, *(low for low in lows if low is not None)])
    return int(lowest * 10) / 10


def one_address(request: HttpRequest, view: View) -> HttpResponse | None:
    """Where the same view is found under its one address, if it was asked for by another.

    A form sends every field, filled in or not; what is stored, linked and cited is the short address.
    """
    if request.GET.dict() == view.asked:
        return None
    return HttpResponseRedirect(f"{request.path}{view.query() if view.asked else ''}")


def _which(benchmark: Benchmark, view: View, shown: Shown | None) -> dict[str, Any]:
    """Which board a page is about, and which others there are: two queries at the most."""
    past = [
        (board, view.query(asof=board.citation, page=1), bool(shown and board.citation == shown.citation))
        for board in past_boards(benchmark)
    ]
    return {
        "shown": shown,
        "past": past,
        "present": view.query(asof="", page=1),
        "gone": withdrawn_since(shown) if shown and not shown.is_present else [],
    }


def _missing(request: HttpRequest, benchmark: Benchmark, view: View) -> HttpResponse:
    """There is no such board; these there are."""
    context = {"benchmark": benchmark, "view": view, **_which(benchmark, view, None)}
    return render(request, "board/missing.html", context, status=404)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    summaries = benchmark_summaries(request.user)
    lows = [
        estimate.low
        for summary in summaries
        for row in summary.leaders
        for estimate in (row.entry.next.estimate, row.entry.next.generators)
    ]
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
    if moved := one_address(request, view):
        return moved
    board = boards.leaderboard(_benchmark(slug), request.user, view)
    if board.shown is None and view.asof:
        return _missing(request, board.benchmark, view)
    forecasts = board.timeline.forecasts if board.timeline else ()
    headers = sorting.columns(view, board.order, len(forecasts))
    context = {
        "board": board,
        "view": view,
        "benchmark": board.benchmark,
        "headers": headers,
        "forecasts": [(window, headers[f"w{position + 1}"]) for position, window in enumerate(forecasts)],
        "metrics": [(metric, headers.get(metric.key)) for metric in sorting.METRICS],
        "floor": _floor(board.own),
        **_paging(view, board.n_rows, len(board.rows), board.n_pages, board.shown),
    }
    if board.shown:
        context["table"] = _table(board, context)
    if request.htmx and board.shown:
        return render(request, "board/_board.html", context)
    return render(request, "board/leaderboard.html", context | _which(board.benchmark, view, board.shown))


def _floor(rows: Sequence[BoardRow]) -> float:
    averages = (average for row in rows for average in (row.entry.next, row.entry.past, row.entry.whole))
    return axis_floor([e.low for average in averages for e in (average.estimate, average.generators)])


def _table(board: boards.Board, context: dict[str, Any]) -> SafeString:
    """The table of a view. A board never changes, so what was drawn of it once is drawn."""
    assert board.shown is not None
    benchmark = board.benchmark
    key = (benchmark.pk, benchmark.corpus.simulated, board.shown.digest, board.view)
    table = TABLES.get(key)
    if table is None:
        own = {"rows": board.rows, "floor": _floor(board.rows), "sorts": True, "caption": "Leaderboard"}
        table = render_to_string("board/_table.html", context | own)
        TABLES.put(key, table, size_bytes=len(table), expires_at=time.monotonic() + TABLE_KEPT_S)
    return table


def _paging(view: View, n_rows: int, n_here: int, n_pages: int, shown: Shown | None) -> dict[str, Any]:
    """Which board it is, with links to its other pages and to this very view, and the sets of columns."""
    first = (view.page - 1) * selection.PAGE_ROWS
    return {
        "shown": shown,
        "paging": {
            "first": first + 1 if n_here else 0,
            "last": first + n_here,
            "n_rows": n_rows,
            "n_pages": n_pages,
            "before": view.query(page=min(view.page - 1, n_pages)) if view.page > 1 else "",
            "after": view.query(page=view.page + 1) if view.page < n_pages else "",
            "start": view.query(page=1),
        },
        "permalink": view.query(asof=shown.citation) if shown else "",
        "unfiltered": View(columns=view.columns, sort=view.sort, asof=view.asof).query(),
        "column_sets": [
            (label, view.query(columns=name, sort="", page=1), view.columns == name)
            for name, label in (("", "Summary"), ("windows", "Every window"), ("metrics", "Other metrics"))
        ],
    }


@require_safe
@vary_on_headers("HX-Request")
def first_contact(request: HtmxRequest, slug: str) -> HttpResponse:
    """The whole page, or just the map when htmx asks."""
    view = View.of(request.GET)
    if moved := one_address(request, view):
        return moved
    contact = contacts.first_contact(_benchmark(slug), view)
    if contact.shown is None and view.asof:
        return _missing(request, contact.benchmark, view)
    figure = first_contact_figure(contact) if contact.rows and contact.generators else None
    context = {
        "board": contact,
        "view": view,
        "benchmark": contact.benchmark,
        "figure": figure,
        **_paging(view, contact.n_rows, len(contact.rows), contact.n_pages, contact.shown),
    }
    if request.htmx and contact.shown:
        return render(request, "board/_contact.html", context)
    return render(
        request, "board/first_contact.html", context | _which(contact.benchmark, view, contact.shown)
    )


@require_safe
def trends(request: HttpRequest, slug: str) -> HttpResponse:
    view = View.of(request.GET)
    if moved := one_address(request, view):
        return moved
    found = trends_of(_benchmark(slug), view)
    if found.shown is None and view.asof:
        return _missing(request, found.benchmark, view)
    return render(
        request,
        "board/trends.html",
        {
            "trends": found,
            "view": view,
            "benchmark": found.benchmark,
            "ranks_figure": ranks_figure(found) if found.lines else None,
            "tradeoff_figure": tradeoff_figure(found) if found.points else None,
            **_which(found.benchmark, view, found.shown),
        },
    )
