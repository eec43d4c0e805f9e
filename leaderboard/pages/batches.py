"""The maintainers' pages on batches: the list, a new one, its upload, its report and its publication."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from leaderboard.charts.batch import distribution_figure
from leaderboard.charts.figure import Figure
from leaderboard.models import Batch, Corpus
from leaderboard.pages.access import maintainers_only
from leaderboard.pages.batch_forms import NewGenerator, OfGenerator, OfReals, Publication
from leaderboard.pages.pictures import picture
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import batches as selectors
from leaderboard.selectors import visible
from leaderboard.selectors.batches import BatchReport, Distribution
from leaderboard.selectors.preview import publication_preview
from leaderboard.services.corpora import batch_create, batch_submit
from leaderboard.services.generators import generator_create
from leaderboard.services.publication import batch_publish
from protocols.errors import TidemarkError
from protocols.states import BatchState

PER_PAGE = 50
# What one request of the browser's upload carries: small enough to lose little when it breaks off.
UPLOAD_CHUNK_BYTES = 8 * 2**20
# The forms of the page of a new batch, by the name of the button that sends them.
OF_GENERATOR, OF_NEW_GENERATOR, OF_REALS = "known", "new", "reals"


@dataclass(frozen=True)
class Chart:
    distribution: Distribution
    figure: Figure


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def batches(request: HtmxRequest) -> HttpResponse:
    """All batches, or one corpus's or state's; just the table when htmx polls."""
    corpora = list(visible.corpora())
    corpus = _known(request.GET.get("corpus", ""), [corpus.slug for corpus in corpora])
    state = _known(request.GET.get("state", ""), list(BatchState))
    page = Paginator(selectors.batch_list(corpus=corpus, state=state), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "page": page,
        "corpora": corpora,
        "states": [member.value for member in BatchState],
        "corpus": corpus,
        "state": state,
        "is_live": any(batch.state == BatchState.CHECKING for batch in page),
    }
    return render(request, "batches/_table.html" if request.htmx else "batches/list.html", context)


def _known(asked: str, known: Sequence[str]) -> str:
    """What the reader asks for if there is such a thing, else nothing."""
    return asked if asked in known else ""


@require_http_methods(["GET", "HEAD", "POST"])
@maintainers_only
def new(request: HttpRequest) -> HttpResponse:
    """Choose what a batch is of, a generator or a real source, and make it."""
    corpora = list(visible.corpora())
    slug = request.GET.get("corpus") or (corpora[0].slug if len(corpora) == 1 else "")
    corpus = next((corpus for corpus in corpora if corpus.slug == slug), None)
    if slug and corpus is None:
        raise Http404("There is no such corpus.")
    context: dict[str, object] = {"corpora": corpora, "corpus": corpus}
    status = 200
    if corpus is not None:
        sent = request.POST.get("what") if request.method == "POST" else None
        known = OfGenerator(request.POST if sent == OF_GENERATOR else None, corpus=corpus)
        unknown = NewGenerator(request.POST if sent == OF_NEW_GENERATOR else None)
        reals = OfReals(request.POST if sent == OF_REALS else None)
        context |= {"known": known, "unknown": unknown, "reals": reals}
        if sent is not None:
            batch = _made(request, corpus, known, unknown, reals)
            if batch is not None:
                return redirect("desk-batch", batch_id=batch.pk)
            status = 400
    return render(request, "batches/new.html", context, status=status)


def _made(
    request: HttpRequest, corpus: Corpus, known: OfGenerator, unknown: NewGenerator, reals: OfReals
) -> Batch | None:
    """The batch that the one bound form asks for, or None where the form or the server refuses it."""
    try:
        if known.is_bound and known.is_valid():
            return batch_create(corpus=corpus, generator=known.cleaned_data["generator"], actor=request.user)
        if unknown.is_bound and unknown.is_valid():
            generator = generator_create(corpus=corpus, **unknown.cleaned_data, actor=request.user)
            return batch_create(corpus=corpus, generator=generator, actor=request.user)
        if reals.is_bound and reals.is_valid():
            return batch_create(corpus=corpus, **reals.cleaned_data, actor=request.user)
    except TidemarkError as error:
        messages.error(request, error.detail)
    return None


def _report(batch_id: uuid.UUID) -> BatchReport:
    report = selectors.batch_report(batch_id)
    if report is None:
        raise Http404("There is no such batch.")
    return report


@require_safe
@vary_on_headers("HX-Request")
@maintainers_only
def batch(request: HtmxRequest, batch_id: uuid.UUID) -> HttpResponseBase:
    """The upload, the live check or the report; just the progress when htmx polls."""
    report = _report(batch_id)
    context: dict[str, object] = {"report": report, "batch": report.batch}
    if request.htmx:
        if not report.is_checking:
            # The report has figures, which a page draws as it loads.
            return HttpResponseClientRefresh()
        return render(request, "batches/_checking.html", context)
    context |= {
        "charts": [
            Chart(each, distribution_figure(each, simulated=report.batch.corpus.simulated))
            for each in report.distributions
        ],
        "chunk_bytes": UPLOAD_CHUNK_BYTES,
        "max_bytes": settings.UPLOAD_MAX_BYTES,
        "most_listed": selectors.MOST_LISTED,
    }
    return render(request, "batches/batch.html", context)


@require_POST
@maintainers_only
def submit(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """Give a batch the upload that the page's script has finished."""
    batch = get_object_or_404(Batch, pk=batch_id)
    try:
        upload_id = uuid.UUID(request.POST.get("upload", ""))
        upload = visible.uploads(request.user).filter(pk=upload_id).first()
    except ValueError:
        upload = None
    if upload is None:
        messages.error(request, "There is no such upload of yours. Choose the archive again.")
        return redirect("desk-batch", batch_id=batch_id)
    try:
        batch_submit(batch, upload, actor=request.user)
    except TidemarkError as error:
        messages.error(request, f"{error.detail} {error.entry.fix}")
    return redirect("desk-batch", batch_id=batch_id)


@require_safe
@maintainers_only
def contact_sheet(_request: HttpRequest, batch_id: uuid.UUID) -> HttpResponseBase:
    """The picture of samples, from the store: for maintainers, and to be kept by nobody else."""
    key = get_object_or_404(Batch, pk=batch_id).contact_sheet
    if not key:
        raise Http404("This batch has no contact sheet.")
    return picture(key, cache_control="private, max-age=3600")


@require_http_methods(["GET", "HEAD", "POST"])
@maintainers_only
def publish(request: HttpRequest, batch_id: uuid.UUID) -> HttpResponse:
    """What publishing starts and costs, and the button that does it."""
    batch = get_object_or_404(Batch.objects.select_related("corpus", "generator__corpus"), pk=batch_id)
    if batch.state != BatchState.SEALED:
        return redirect("desk-batch", batch_id=batch_id)
    preview = publication_preview(batch)
    form = Publication(request.POST if request.method == "POST" else None, needs_reason=preview.needs_reason)
    if request.method == "POST" and form.is_valid():
        try:
            batch_publish(batch, actor=request.user, reason=form.cleaned_data.get("reason", ""))
        except TidemarkError as error:
            messages.error(request, f"{error.detail} {error.entry.fix}")
            return redirect("desk-batch-publish", batch_id=batch_id)
        messages.success(request, "Published. Results appear as they come.")
        return redirect("desk-batch", batch_id=batch_id)
    context = {
        "preview": preview,
        "batch": batch,
        "audit": selectors.audit_of(batch.audit),
        "form": form,
    }
    return render(request, "batches/publish.html", context, status=400 if form.errors else 200)
