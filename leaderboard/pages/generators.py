"""The generators of a corpus."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from leaderboard.models import Corpus
from leaderboard.selectors.generators import corpus_report


@require_safe
def generators(request: HttpRequest, slug: str) -> HttpResponse:
    report = corpus_report(get_object_or_404(Corpus, slug=slug), request.user)
    return render(request, "generators/list.html", {"report": report, "corpus": report.corpus})
