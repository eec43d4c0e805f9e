"""The generators of a corpus, and each of them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Corpus, Generator
from leaderboard.pages.boards import axis_floor
from leaderboard.pages.pictures import picture
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors.generator_page import find_generator, generator_report, shown_samples
from leaderboard.selectors.generators import corpus_report
from leaderboard.selectors.views import View

# A picture of samples never changes under its address, but it may be withdrawn.
SAMPLES_KEPT_S = 30 * 24 * 3600


@require_safe
def generators(request: HttpRequest, slug: str) -> HttpResponse:
    report = corpus_report(get_object_or_404(Corpus, slug=slug), request.user)
    return render(request, "generators/list.html", {"report": report, "corpus": report.corpus})


def _generator(request: HttpRequest, corpus: str, slug: str) -> Generator:
    found = find_generator(corpus, slug, request.user)
    if found is None:
        raise Http404("No generator that you may see has this address.")
    return found


@require_safe
@vary_on_headers("HX-Request")
def generator(request: HtmxRequest, corpus: str, slug: str) -> HttpResponse:
    """The whole page, or just the rankings while first contacts come in."""
    view = View.of(request.GET)
    report = generator_report(_generator(request, corpus, slug), view.page)
    template = "generators/_rankings.html" if request.htmx else "generators/generator.html"
    return render(
        request,
        template,
        {
            "report": report,
            "view": view,
            "generator": report.generator,
            "corpus": report.generator.corpus,
            "floor": axis_floor([low for on in report.benchmarks for row in on.rows for low in row.lows]),
            "audited": [(batch, _audit(batch.audit)) for batch in report.batches],
        },
    )


def _audit(audit: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The views of a shortcut audit that were measured, each with what it is of."""
    names = {"originals": "the files as they came", "participants": "what detectors get"}
    views = audit.get("views") or {}
    return [(text, views[name]) for name, text in names.items() if views.get(name)]


@require_safe
def samples(_request: HttpRequest, corpus: str, slug: str, key: str) -> FileResponse:
    """The contact sheet of a published batch, where the licence lets everybody see it.

    The address holds the picture's hash, so it may be kept for long.
    """
    found = find_generator(corpus, slug, AnonymousUser())
    if found is None or key not in shown_samples(found):
        raise Http404("There is no such picture.")
    return picture(key, cache_control=f"public, max-age={SAMPLES_KEPT_S}, immutable")
