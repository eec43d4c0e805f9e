"""A user's webhooks: making one, its log, a test, the end of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Hears, Subscription, User
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import subscriptions
from leaderboard.services.subscriptions import subscription_end, webhook_create, webhook_ping
from protocols.errors import RequestError


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _own(request: HttpRequest, webhook_id: uuid.UUID) -> Subscription:
    return get_object_or_404(subscriptions.webhooks(_user(request)), pk=webhook_id)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """The list with the form. A new one's secret is in the answer to the form, once and nowhere else."""
    context: dict[str, object] = {"url": "", "chosen": "", "hears": Hears.ALL}
    status = 200
    if request.method == "POST":
        url, slug = request.POST.get("url", "").strip(), request.POST.get("benchmark", "")
        hears = request.POST.get("hears", Hears.ALL)
        benchmark = subscriptions.benchmarks().filter(slug=slug).first()
        try:
            if slug and benchmark is None:
                raise RequestError("invalid", "There is no such benchmark.")
            if hears not in (Hears.BOARD, Hears.ENTRIES, Hears.ALL):
                raise RequestError("invalid", "A webhook hears of the board, of entries or of all.")
            context["created"] = webhook_create(
                owner=_user(request), url=url, benchmark=benchmark, hears=hears
            )
            status = 201
        except RequestError as error:
            context |= {"problem": f"{error.detail} {error.entry.fix}", "url": url[:500], "chosen": slug}
            context["hears"] = hears
            status = 400
    context |= {
        "webhooks": subscriptions.webhooks_with_last(_user(request)),
        "benchmarks": subscriptions.benchmarks(),
    }
    return render(request, "notifications/webhooks.html", context, status=status)


@login_required
@require_safe
@vary_on_headers("HX-Request")
def webhook(request: HtmxRequest, webhook_id: uuid.UUID) -> HttpResponse:
    """One webhook with what was sent to it, newest first; just the log when htmx asks."""
    found = _own(request, webhook_id)
    rows = list(found.deliveries.all()[: subscriptions.LOG_LENGTH])
    return render(
        request,
        "notifications/_deliveries.html" if request.htmx else "notifications/webhook.html",
        {"webhook": found, "deliveries": rows, "is_live": any(row.status == "pending" for row in rows)},
    )


@login_required
@require_POST
def ping(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    webhook_ping(_own(request, webhook_id))
    messages.success(request, "A test is on its way.")
    return redirect("webhook", webhook_id=webhook_id)


@login_required
@require_POST
def delete(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    subscription_end(_own(request, webhook_id))
    messages.success(request, "The webhook is deleted, with its log.")
    return redirect("webhooks")
