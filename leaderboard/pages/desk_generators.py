"""The maintainers' page on a generator: what is said of it, and what can be corrected."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from leaderboard.models import Generator
from leaderboard.pages.access import maintainers_only
from leaderboard.pages.batch_forms import Redating, Withdrawal
from leaderboard.selectors.batches import generator_report
from leaderboard.services.generators import generator_redate, generator_show_samples, generator_withdraw
from protocols.errors import TidemarkError


def _generator(corpus: str, slug: str) -> Generator:
    return get_object_or_404(Generator.objects.select_related("corpus"), corpus__slug=corpus, slug=slug)


def _page(
    request: HttpRequest,
    generator: Generator,
    *,
    withdrawal: Withdrawal | None = None,
    redating: Redating | None = None,
) -> HttpResponse:
    """The page with its forms; a form that was sent and refused says what is wrong."""
    context = {
        "generator": generator,
        "report": generator_report(generator),
        "withdrawal": withdrawal or Withdrawal(generator=generator),
        "redating": redating or Redating(initial={"release_date": generator.release_date}),
    }
    refused = withdrawal is not None or redating is not None
    return render(request, "batches/generator.html", context, status=400 if refused else 200)


@require_safe
@maintainers_only
def generator(request: HttpRequest, corpus: str, slug: str) -> HttpResponse:
    return _page(request, _generator(corpus, slug))


@require_POST
@maintainers_only
def samples(request: HttpRequest, corpus: str, slug: str) -> HttpResponse:
    """Show training images to everybody, or stop."""
    found = _generator(corpus, slug)
    shown = request.POST.get("shown") == "true"
    generator_show_samples(found, shown, actor=request.user)
    messages.success(request, "Samples are shown to everybody." if shown else "Samples are hidden.")
    return redirect("desk-generator", corpus=corpus, slug=slug)


@require_POST
@maintainers_only
def withdraw(request: HttpRequest, corpus: str, slug: str) -> HttpResponse:
    found = _generator(corpus, slug)
    form = Withdrawal(request.POST, generator=found)
    if not form.is_valid():
        return _page(request, found, withdrawal=form)
    try:
        generator_withdraw(found, actor=request.user, reason=form.cleaned_data["reason"])
        messages.success(request, f"{found.name} is withdrawn. Averages are being computed anew.")
    except TidemarkError as error:
        messages.error(request, error.detail)
    return redirect("desk-generator", corpus=corpus, slug=slug)


@require_POST
@maintainers_only
def redate(request: HttpRequest, corpus: str, slug: str) -> HttpResponse:
    found = _generator(corpus, slug)
    form = Redating(request.POST)
    if not form.is_valid():
        return _page(request, found, redating=form)
    try:
        generator_redate(
            found, form.cleaned_data["release_date"], actor=request.user, reason=form.cleaned_data["reason"]
        )
        messages.success(request, f"{found.name} was released on {form.cleaned_data['release_date']}.")
    except TidemarkError as error:
        messages.error(request, error.detail)
    return redirect("desk-generator", corpus=corpus, slug=slug)
