"""The request as the middleware leaves it."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """``htmx`` is true when htmx asks for a part of the page."""

    htmx: HtmxDetails
