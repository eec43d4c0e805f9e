"""The generators of a corpus, and each of them."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Corpus, Generator
from leaderboard.pages.boards import axis_floor
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors.generator_page import find_generator, generator_report, shown_samples
from leaderboard.selectors.generators import corpus_report
from leaderboard.store import store

# A picture of samples never changes under its address, but it may be withdrawn.
SAMPLES_KEPT_S = 30 * 24 * 3600
# What a stored picture may be, by how it begins.
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


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
    report = generator_report(_generator(request, corpus, slug), request.user)
    template = "generators/_rankings.html" if request.htmx else "generators/generator.html"
    return render(
        request,
        template,
        {
            "report": report,
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
def samples(request: HttpRequest, corpus: str, slug: str, key: str) -> HttpResponse:
    """The contact sheet of a published batch, where the licence lets everybody see it.

    The address holds the picture's hash, so it may be kept for long; what is in it came from
    outside, so it is shown as a picture and as nothing else.
    """
    found = find_generator(corpus, slug, request.user)
    if found is None or key not in shown_samples(found):
        raise Http404("There is no such picture.")
    content = store().read_bytes(key)
    kind = next((kind for magic, kind in PICTURES.items() if content.startswith(magic)), None)
    if kind is None:
        raise Http404("There is no such picture.")
    response = HttpResponse(content, content_type=kind)
    response["Cache-Control"] = f"public, max-age={SAMPLES_KEPT_S}, immutable"
    response["ETag"] = quote_etag(key)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Content-Disposition"] = f'inline; filename="{found.slug}-samples.{kind.split("/")[1]}"'
    return response
