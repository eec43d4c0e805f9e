"""Hearing of arrivals by e-mail: asking for it, confirming it, ending it, without an account."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.throttling import SimpleRateThrottle

from leaderboard.models import Benchmark, Channel, Subscription
from leaderboard.services.subscriptions import email_subscribe, subscription_confirm, subscription_end
from protocols.errors import RequestError

form_methods = require_http_methods(["GET", "HEAD", "POST"])


class SubscriptionThrottle(SimpleRateThrottle):
    """How often one client may ask; how often one address is written to is the service's affair."""

    scope = "subscriptions"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


@form_methods
def subscribe(request: HttpRequest, slug: str) -> HttpResponse:
    """The form, and what comes after it: the same whether the address was known or not."""
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    address = request.POST.get("address", "")[:320]
    context: dict[str, Any] = {"benchmark": benchmark, "address": address}
    if request.method != "POST":
        return render(request, "notifications/subscribe.html", context)
    if not SubscriptionThrottle().allow_request(request, None):  # type: ignore[arg-type]
        context["problem"] = "There were too many requests from your network. Try again in an hour."
        return render(request, "notifications/subscribe.html", context, status=429)
    wanted = None if request.POST.get("all") else benchmark
    try:
        email_subscribe(address=address, benchmark=wanted)
    except RequestError as error:
        context["problem"] = error.detail
        return render(request, "notifications/subscribe.html", context, status=400)
    return render(request, "notifications/asked.html", context)


def _of_token(token: str) -> Subscription | None:
    """The address, or the account, whose mail had this link."""
    return Subscription.objects.filter(channel=Channel.EMAIL, token=token).select_related("benchmark").first()


@never_cache
@form_methods
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """A button, because programs that look into mail open its links."""
    subscription = _of_token(token)
    if subscription is not None and subscription.is_accounts_mail:
        # Nobody was asked to confirm it.
        subscription = None
    done = False
    if subscription is not None and request.method == "POST":
        subscription_confirm(subscription)
        done = True
    return _page(request, "confirm", subscription, done=done)


@csrf_exempt
@never_cache
@form_methods
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A POST ends it: the button's, or the one click of a mail program (RFC 8058), which has no cookie.

    The token alone proves who asks, so there is nothing for a forged request to gain.
    """
    subscription = _of_token(token)
    done = False
    if subscription is not None and request.method == "POST":
        subscription_end(subscription)
        done = True
    return _page(request, "unsubscribe", subscription, done=done)


def _page(
    request: HttpRequest, action: str, subscription: Subscription | None, *, done: bool
) -> HttpResponse:
    context = {
        "action": action,
        "subscription": subscription,
        "benchmark": subscription.benchmark if subscription else None,
        "done": done,
    }
    response = render(request, "notifications/token.html", context, status=200 if subscription else 404)
    # The address of the page is a secret: it must not travel on, nor be found.
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
