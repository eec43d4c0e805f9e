"""What may be stored of an answer and for how long, its validator, and the cache of this process.

- A visitor who is nobody in particular (no session, no message, no token) gets ``public, max-age=0,
  must-revalidate``: browsers and proxies may store it and must ask whether it still holds, so that a
  board is never older than this server says. Everybody else gets ``private, no-cache``. What a view
  says itself about caching stands.
- The ETag is a hash of the body. It is weak, as the same page goes out plain and compressed.
- What nobody in particular gets is kept in the process for ``PAGE_CACHE_S`` seconds, compressed once.
  While it is made, others who ask for it wait instead of making it too.

Nothing is kept that sets a cookie (a page with a form sets that of its token), that a view wants not
to be stored, that is no 200, or that varies with a header that is no part of the key.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.text import compress_string

from leaderboard.delivery.compression import accepts_gzip, compress, is_compressible
from leaderboard.delivery.shelf import Flight, Flights, Shelf
from leaderboard.theme import theme_of

PUBLIC = "public, max-age=0, must-revalidate"
PRIVATE = "private, no-cache"
# An answer may vary with these and still be kept: they are part of the key, or rule keeping out.
KEYED = {"accept-encoding", "authorization", "cookie", "hx-request"}
# What one process keeps. Addresses without a query are as many as there are pages; those with one are
# as many as somebody cares to invent, so they have a shelf of their own and can't push out the others.
MAX_ENTRIES, MAX_BYTES = 512, 16 * 2**20
# Who waited so long for another's rendering renders for itself.
WAIT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """A kept answer: its headers without the length, and its body, compressed where that pays."""

    headers: dict[str, str]
    body: bytes
    is_gzip: bool

    @classmethod
    def of(cls, response: HttpResponse) -> Answer:
        """Keep ``response``, whose headers are complete but for the encoding."""
        is_gzip = is_compressible(response)
        headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
        return cls(headers, compress_string(response.content) if is_gzip else response.content, is_gzip)

    def response(self, request: HttpRequest) -> HttpResponse:
        """The answer as this reader accepts it."""
        body, headers = self.body, dict(self.headers)
        if self.is_gzip and accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
        elif self.is_gzip:
            body = gzip.decompress(body)
        headers["Content-Length"] = str(len(body))
        return HttpResponse(body, headers=headers)


class Delivery:
    """The middleware. It stands before all that asks the database, and keeps what it keeps for itself."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.pages: Shelf[Answer] = Shelf(MAX_ENTRIES, MAX_BYTES)
        self.queries: Shelf[Answer] = Shelf(MAX_ENTRIES, MAX_BYTES)
        self.flights: Flights[Answer] = Flights()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.PAGE_CACHE_S <= 0 or request.method not in ("GET", "HEAD") or not is_anonymous(request):
            return self._sent(request, self._described(request))
        shelf = self.queries if request.META.get("QUERY_STRING") else self.pages
        key = _key(request)
        kept = shelf.get(key)
        if kept is None and request.method == "HEAD":
            # It may have no body, which is no answer to a GET.
            return self._sent(request, self._described(request))
        if kept is None:
            flight, leads = self.flights.join(key)
            if leads:
                return self._lead(request, shelf, key, flight)
            flight.landed.wait(WAIT_S)
            kept = flight.value
        if kept is None:
            return self._sent(request, self._described(request))
        return _unless_known(request, kept.response(request))

    def _lead(
        self, request: HttpRequest, shelf: Shelf[Answer], key: Hashable, flight: Flight[Answer]
    ) -> HttpResponseBase:
        """Render what others may be waiting for, and keep it where it may be kept."""
        answer = None
        try:
            response = self._described(request)
            if not _may_be_kept(request, response):
                return self._sent(request, response)
            answer = Answer.of(response)
            # From its end on: were a rendering that takes long counted in, a busy server would keep nothing.
            expires_at = time.monotonic() + settings.PAGE_CACHE_S
            shelf.put(key, answer, size_bytes=len(answer.body), expires_at=expires_at)
        finally:
            self.flights.land(key, flight, answer)
        return _unless_known(request, answer.response(request))

    def _described(self, request: HttpRequest) -> Any:
        """The view's answer with what it says about being stored."""
        response = self.get_response(request)
        patch_vary_headers(response, ["Cookie", "Authorization"] if is_api(request) else ["Cookie"])
        if not response.streaming and is_compressible(response):
            patch_vary_headers(response, ["Accept-Encoding"])
        if request.method not in ("GET", "HEAD"):
            return response
        is_public = response.status_code == 200 and not response.cookies and is_anonymous(request)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = PUBLIC if is_public else PRIVATE
            # A form's token is another one each time, so that a page with a form is never the same.
            if response.status_code == 200 and not response.cookies and not response.streaming:
                response.headers.setdefault("ETag", _etag(response.content))
        return response

    def _sent(self, request: HttpRequest, response: Any) -> HttpResponseBase:
        """An answer that is not kept, as its reader accepts it."""
        if response.streaming:
            return response  # type: ignore[no-any-return]
        if request.method in ("GET", "HEAD"):
            response = _unless_known(request, response)
        if is_compressible(response):
            compress(response, request.headers.get("Accept-Encoding", ""))
        return response  # type: ignore[no-any-return]


def is_anonymous(request: HttpRequest) -> bool:
    """Whether the answer can't depend on who asks: no session, no token, no message to be shown."""
    return (
        settings.SESSION_COOKIE_NAME not in request.COOKIES
        and CookieStorage.cookie_name not in request.COOKIES
        and "Authorization" not in request.headers
    )


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _key(request: HttpRequest) -> Hashable:
    """What an anonymous answer may depend on. The host is one of ``ALLOWED_HOSTS``, or this raises."""
    return (
        request.scheme,
        request.get_host(),
        request.path,
        request.META.get("QUERY_STRING", ""),
        theme_of(request),
        request.headers.get("HX-Request") == "true",
        # Pages come in one format, the API in several.
        request.headers.get("Accept", "") if is_api(request) else "",
    )


def _may_be_kept(request: HttpRequest, response: Any) -> bool:
    varies = {name.strip().lower() for name in response.headers.get("Vary", "").split(",")}
    return (
        response.headers.get("Cache-Control") == PUBLIC
        and not response.streaming
        and varies <= (KEYED | {"accept"} if is_api(request) else KEYED)
    )


def _etag(content: bytes) -> str:
    return f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def _unless_known(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """304 where the reader has this very answer."""
    if response.status_code != 200 or "ETag" not in response.headers:
        return response
    etag = response.headers["ETag"]
    return get_conditional_response(request, etag=etag, response=response) or response
