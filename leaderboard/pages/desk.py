"""The maintainers' desk: what needs somebody now, and a page for each part of the operation."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Edition
from leaderboard.pages.access import maintainers_only
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import visible
from leaderboard.selectors.desk import actions as log
from leaderboard.selectors.desk.arrivals import arrivals as arrival_rows
from leaderboard.selectors.desk.cost import Cost, CostReport, cost_report
from leaderboard.selectors.desk.failures import failures as failure_report
from leaderboard.selectors.desk.front import front
from leaderboard.selectors.desk.queue import queue as queue_report
from leaderboard.selectors.desk.storage import Kind, artifact_stocks, inventory
from leaderboard.selectors.desk.workers import MISSED_BEATS, worker_rows
from leaderboard.services.audit import Verb
from leaderboard.services.editions import edition_approve
from leaderboard.services.storage import storage_free
from protocols.errors import TidemarkError

PER_PAGE = 50
# A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Approval(forms.Form):
    """How many hours of containers training may take; empty for no bound."""

    budget_h = forms.FloatField(min_value=0.001, max_value=1e6, required=False)

    @property
    def budget_s(self) -> int | None:
        hours: float | None = self.cleaned_data["budget_h"]
        return None if hours is None else max(1, round(hours * 3600))


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def desk(request: HtmxRequest) -> HttpResponse:
    """The front: the whole page, or just its live part when htmx polls."""
    template = "desk/_front.html" if request.htmx else "desk/front.html"
    context = {"front": front(), "benchmarks": visible.benchmarks(), "here": "desk"}
    return render(request, template, context)


@require_POST
@maintainers_only
def approve(request: HttpRequest, edition_id: int) -> HttpResponse:
    """Let training on a closed window begin, or give an open edition another budget."""
    edition = get_object_or_404(Edition, pk=edition_id)
    form = Approval(request.POST)
    if not form.is_valid():
        messages.error(request, "A budget is a number of hours above 0, or empty for no bound.")
        return redirect("desk")
    try:
        edition_approve(edition, actor=request.user, budget_s=form.budget_s)
        messages.success(request, f"{edition} is approved.")
    except TidemarkError as error:
        messages.error(request, error.detail)
    return redirect("desk")


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def arrivals(request: HtmxRequest) -> HttpResponse:
    rows = arrival_rows()
    template = "desk/_arrivals.html" if request.htmx else "desk/arrivals.html"
    is_live = any(not row.is_final for row in rows)
    return render(request, template, {"arrivals": rows, "is_live": is_live, "here": "desk-arrivals"})


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def queue(request: HtmxRequest) -> HttpResponse:
    template = "desk/_queue.html" if request.htmx else "desk/queue.html"
    return render(request, template, {"queue": queue_report(worker_rows()), "here": "desk-queue"})


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def workers(request: HtmxRequest) -> HttpResponse:
    template = "desk/_workers.html" if request.htmx else "desk/workers.html"
    context = {"workers": worker_rows(), "missed_beats": MISSED_BEATS, "here": "desk-workers"}
    return render(request, template, context)


@require_safe
@maintainers_only
def failures(request: HttpRequest) -> HttpResponse:
    return render(request, "desk/failures.html", {"failures": failure_report(), "here": "desk-failures"})


@require_safe
@maintainers_only
def storage(request: HttpRequest) -> HttpResponse:
    # Measured now; the front and the metrics show it from here on.
    context = {"inventory": inventory(timedelta(0)), "artifacts": artifact_stocks(), "here": "desk-storage"}
    return render(request, "desk/storage.html", context)


@require_POST
@maintainers_only
def free(request: HttpRequest, kind: str) -> HttpResponse:
    """Delete what nobody needs of one kind."""
    if kind not in {known.value for known in Kind}:
        raise Http404("There is no such kind of storage.")
    try:
        freed = storage_free(Kind(kind), actor=request.user)
        messages.success(request, f"Freed {freed.n_objects} of {kind}: {freed.size_bytes:,} bytes.")
    except TidemarkError as error:
        messages.error(request, error.detail)
    return redirect("desk-storage")


@require_safe
@maintainers_only
def cost(request: HttpRequest) -> HttpResponse:
    return render(request, "desk/cost.html", {"report": cost_report(), "here": "desk-cost"})


@require_safe
@maintainers_only
def cost_csv(_: HttpRequest) -> HttpResponse:
    """The same figures for a spreadsheet."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="tidemark-cost.csv"'
    csv.writer(response).writerows(cost_rows(cost_report()))
    return response


def cost_rows(report: CostReport) -> Iterator[tuple[object, ...]]:
    """A header, then two lines an owner: this month, and all time. Money is empty where no price is set."""
    yield "owner", "period", "steps", "container_s", "cpu_s", "gpu_s", "cost", "currency"
    for row in report.rows:
        yield cell(row.owner), f"{report.month_from:%Y-%m}", *_figures(row.month), cell(report.currency)
        yield cell(row.owner), "all", *_figures(row.total), cell(report.currency)


def cell(text: str) -> str:
    """Text that somebody else chose, so that no spreadsheet runs it as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _figures(cost: Cost) -> tuple[object, ...]:
    money = "" if cost.money is None else f"{cost.money:.2f}"
    return cost.n_steps, f"{cost.container_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.gpu_s:.1f}", money


@require_safe
@maintainers_only
def audit_log(request: HttpRequest) -> HttpResponse:
    """What maintainers did, by actor, verb and text."""
    wanted = {name: request.GET.get(name, "").replace("\0", "")[:200] for name in ("actor", "verb", "text")}
    page = Paginator(log.actions(**wanted), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "wanted": wanted,
        "actors": log.actors(),
        "verbs": [verb.value for verb in Verb],
        "here": "desk-log",
    }
    return render(request, "desk/log.html", context)
