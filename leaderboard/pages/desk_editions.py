"""Cutting the windows of a benchmark anew: what it would do, and the button that does it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from leaderboard.models import Benchmark
from leaderboard.pages.access import maintainers_only
from leaderboard.selectors.frontier import ahead
from leaderboard.selectors.preview import edition_preview
from leaderboard.services.editions import edition_open
from protocols.errors import TidemarkError


@require_http_methods(["GET", "HEAD", "POST"])
@maintainers_only
def cut(request: HttpRequest, slug: str) -> HttpResponse:
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    if request.method == "POST":
        try:
            edition = edition_open(benchmark, actor=request.user)
            messages.success(request, f"Edition {edition.number} of {benchmark.name} is open.")
            return redirect("leaderboard", slug=slug)
        except TidemarkError as error:
            messages.error(request, error.detail)
            return redirect("desk-cut", slug=slug)
    current = benchmark.editions.order_by("number").last()
    return render(
        request,
        "desk/cut.html",
        {
            "preview": edition_preview(benchmark),
            "benchmark": benchmark,
            "current": current,
            "waiting": ahead(benchmark.corpus_id, current).waiting if current else (),
        },
    )
