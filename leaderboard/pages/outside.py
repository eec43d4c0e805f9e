"""What others show of the site: badges, charts in frames, citations and the pictures of links."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, date, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response
from django.utils.safestring import mark_safe
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from leaderboard.export import board_tables, cards, svg
from leaderboard.export.addresses import site
from leaderboard.export.badge import badge as draw_badge
from leaderboard.export.badge import told
from leaderboard.export.bibtex import board_entry, detector_entry
from leaderboard.export.picture import Card, png
from leaderboard.models import Benchmark
from leaderboard.selectors.generator_page import find_generator
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.standing import Standing, Top, standing, top
from leaderboard.selectors.views import View

# A page elsewhere may show so old a badge or picture without asking.
KEPT_S = 300
# A frame has a style of its own and nothing else, and whoever likes may show it.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors *"
)
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@require_safe
def detector_badge(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    found = _standing(request, submission_id)
    response = HttpResponse(draw_badge(found), content_type="image/svg+xml")
    return _picture(request, response, is_public=found.is_public)


@require_safe
def detector_picture(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    found = _standing(request, submission_id)
    return _drawn(request, cards.detector_card(found), is_public=found.is_public)


@require_safe
def board_picture(request: HttpRequest, slug: str) -> HttpResponse:
    return _drawn(request, cards.board_card(_top(request, slug)))


@require_safe
def generator_picture(request: HttpRequest, corpus: str, slug: str) -> HttpResponse:
    """With the ranking on the first benchmark of its corpus."""
    found = find_generator(corpus, slug, request.user)
    if found is None:
        raise Http404("No generator that you may see has this address.")
    benchmark = found.corpus.benchmarks.select_related("corpus").first()
    shown = shown_board(benchmark) if benchmark and not found.is_withdrawn else None
    ranking = board_tables.generator(benchmark, shown, slug) if benchmark and shown else None
    # A maintainer may see one that is only announced.
    is_public = not request.user.is_authenticated
    return _drawn(request, cards.generator_card(found, ranking), is_public=is_public)


@require_safe
def site_picture(request: HttpRequest) -> HttpResponse:
    return _drawn(request, cards.site_card())


@require_safe
def detector_citation(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    found = _standing(request, submission_id)
    entry = found.row.entry if found.row else None
    text = detector_entry(
        found.submission, entry, found.shown, found.n_ranked, site=site(), accessed=_today()
    )
    return _bibtex(text, f"{found.submission.pk}.bib")


@require_safe
def board_citation(request: HttpRequest, slug: str) -> HttpResponse:
    found = _top(request, slug)
    text = board_entry(found.benchmark, found.shown, site=site(), accessed=_today())
    return _bibtex(text, f"{found.benchmark.slug}.bib")


@require_safe
@xframe_options_exempt
def detector_embed(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """The Next windows of a detector, for a frame on another's page."""
    found = _standing(request, submission_id)
    windows = found.timeline.forecasts if found.timeline else ()
    cells = found.row.windows if found.row else ()
    marks = [
        svg.Mark(f"w{window.index}", cell, "open" if window.is_open else f"{window.released_to:%Y-%m}")
        for window, cell in zip(windows, cells, strict=bool(cells))
    ]
    label = f"{found.submission.name}: AUROC on each next window, with 95 % intervals"
    context = {
        "found": found,
        "benchmark": found.submission.benchmark,
        "title": found.submission.name,
        "link": f"{site()}/detectors/{found.submission.pk}/",
        "told": told(found),
        "marks": marks,
        "chart": mark_safe(svg.timeline(marks, label=label)) if marks else "",  # noqa: S308 - escaped there.
        "shown": found.shown,
    }
    return _frame(request, "embed/detector.html", context)


@require_safe
@xframe_options_exempt
def board_embed(request: HttpRequest, slug: str) -> HttpResponse:
    """The top of a board, for a frame on another's page."""
    found = _top(request, slug)
    marks = [cards.mark_of(row) for row in found.rows]
    label = f"{found.benchmark.name}: the best detectors by AUROC on next windows, with 95 % intervals"
    context = {
        "found": found,
        "benchmark": found.benchmark,
        "title": found.benchmark.name,
        "link": f"{site()}/b/{found.benchmark.slug}/",
        "marks": marks,
        "chart": mark_safe(svg.bars(marks, label=label)) if marks else "",  # noqa: S308 - escaped there.
        "shown": found.shown,
    }
    return _frame(request, "embed/board.html", context)


def _standing(request: HttpRequest, submission_id: uuid.UUID) -> Standing:
    asof = View.of(request.GET).asof
    found = standing(submission_id, request.user, asof)
    if found is None or (asof and found.shown is None):
        raise Http404("No detector that you may see has this address, or there was no such board.")
    return found


def _top(request: HttpRequest, slug: str) -> Top:
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    asof = View.of(request.GET).asof
    found = top(benchmark, asof)
    if found.shown is None and asof:
        raise Http404("This benchmark has no such board.")
    return found


def _today() -> date:
    return datetime.now(UTC).date()


def _drawn(request: HttpRequest, card: Card, *, is_public: bool = True) -> HttpResponse:
    return _picture(request, HttpResponse(png(card), content_type="image/png"), is_public=is_public)


def _picture(request: HttpRequest, response: HttpResponse, *, is_public: bool) -> HttpResponse:
    """A picture that caches may keep for a while where everybody sees it."""
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    if not is_public:
        return response
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
    etag = f'W/"{hashlib.blake2b(response.content, digest_size=16).hexdigest()}"'
    response.headers["ETag"] = etag
    return get_conditional_response(request, etag=etag, response=response) or response


def _bibtex(text: str, file_name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{file_name}"'}
    return HttpResponse(text, content_type="application/x-bibtex; charset=utf-8", headers=headers)


def _frame(request: HttpRequest, template: str, context: dict[str, object]) -> HttpResponse:
    response = render(request, template, context)
    response.headers["Content-Security-Policy"] = FRAME_POLICY
    return response
