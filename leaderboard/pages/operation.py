"""What machines ask: is the process alive, can it work, and its figures for Prometheus."""

from __future__ import annotations

import hmac
import ipaddress
from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from leaderboard.selectors.health import readiness
from leaderboard.selectors.metrics import metrics as metrics_text

# What a proxy adds: behind one, every visitor seems to come from the proxy's address.
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")


@require_safe
@never_cache
def live(_: HttpRequest) -> HttpResponse:
    """The process answers. Whoever restarts it on failure must not ask more than this."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(_: HttpRequest) -> HttpResponse:
    """Whether requests can be served: 200, or 503 with the part that fails."""
    health = readiness()
    checks = {
        check.name: {"status": check.status.value} | ({"detail": check.detail} if check.detail else {})
        for check in health.checks
    }
    return JsonResponse(
        {"status": health.status.value, "checks": checks}, status=200 if health.is_ready else 503
    )


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures in Prometheus' text format, for whoever shows the token or asks from this machine."""
    if not may_scrape(request):
        return HttpResponse(
            "Send `Authorization: Bearer` with METRICS_TOKEN.\n", status=403, content_type="text/plain"
        )
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    """With ``METRICS_TOKEN`` its holders; without one a direct connection over the loopback."""
    if settings.METRICS_TOKEN:
        shown = request.headers.get("Authorization", "")
        return hmac.compare_digest(shown.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    with suppress(ValueError):
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    return False
