"""Limits of the API and of tables as files: per address before anything else, per user once it is known,
stricter ones for some. Pages have none; what visitors get alike is kept for seconds (``delivery``).

A request that comes without limits being counted has none: see ``leaderboard.cache``. What was counted
stands in the answer's headers, after the IETF's draft (draft-ietf-httpapi-ratelimit-headers): the
bounds in ``RateLimit-Policy``, what is left of them in ``RateLimit``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from leaderboard.export.formats import FORMATS
from leaderboard.limits import Use, client_address, count, wait_s

if TYPE_CHECKING:
    from rest_framework.views import APIView

# Whoever sends an archive in pieces sends many requests, and their bytes are bounded by quotas.
PIECES = "/api/v1/uploads/"
ATTRIBUTE = "limits_used"


def _uses(request: HttpRequest) -> list[Use]:
    """What was counted for a request so far."""
    found: list[Use] = request.__dict__.setdefault(ATTRIBUTE, [])
    return found


def _count(request: HttpRequest, policy: str, who: object) -> Use | None:
    use = count(policy, who)
    if use is not None:
        _uses(request).append(use)
    return use


class Throttle(BaseThrottle, ABC):
    """Counts against one policy; ``who`` may be ``None`` where it does not concern the request."""

    policy = ""
    use: Use | None = None

    @abstractmethod
    def who(self, request: Request) -> object | None: ...

    def allow_request(self, request: Request, view: APIView) -> bool:
        who = self.who(request)
        self.use = None if who is None else _count(request._request, self.policy, who)
        return self.use is None or not self.use.is_exceeded

    def wait(self) -> float | None:
        return None if self.use is None else self.use.reset_s


class UserThrottle(Throttle):
    """All requests of one user, whatever the token."""

    policy = "user"

    def who(self, request: Request) -> object | None:
        if request.path_info.startswith(PIECES) and request.path_info != PIECES:
            return None
        return request.user.pk if request.user.is_authenticated else None


class SignInThrottle(Throttle):
    """Asking for tokens."""

    policy = "sign-in"

    def who(self, request: Request) -> object | None:
        return client_address(request._request)


class WebhookThrottle(Throttle):
    """What makes the server write to somebody else's."""

    policy = "webhooks"

    def who(self, request: Request) -> object | None:
        return request.user.pk or client_address(request._request)


class InvitationThrottle(Throttle):
    """Mails to people who did not ask for them."""

    policy = "invitations"

    def who(self, request: Request) -> object | None:
        return request.user.pk


def fields(uses: list[Use]) -> dict[str, str]:
    """The headers that say what was counted. Nothing is said of what is left while nothing is counted."""
    if not uses:
        return {}
    found = {
        "RateLimit-Policy": ", ".join(f'"{u.policy}";q={u.rate.amount};w={u.rate.window_s}' for u in uses)
    }
    known = [use for use in uses if use.used is not None]
    if known:
        found["RateLimit"] = ", ".join(f'"{u.policy}";r={u.left};t={u.reset_s}' for u in known)
    return found


def _policy(path: str) -> str | None:
    """By which policy requests for ``path`` are counted by their address."""
    if path.startswith("/api/"):
        return "uploads" if path.startswith(PIECES) and path != PIECES else "address"
    # The table of a large board takes seconds to write.
    return "files" if path.rpartition(".")[2] in FORMATS else None


def limits(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The middleware: counts requests of the API and for tables by address, and writes the headers."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        policy = _policy(request.path_info)
        if policy is None:
            return get_response(request)  # type: ignore[no-any-return]
        use = _count(request, policy, client_address(request))
        if use is not None and use.is_exceeded:
            # The views' handler of errors is not there yet, and its settings need the apps.
            from leaderboard.api.errors import outside_views

            response: HttpResponseBase = outside_views(
                "throttled",
                429,
                f"Too many requests from your address; {use.rate.amount} in "
                f"{use.rate.window_s} seconds are allowed.",
            )
        else:
            response = get_response(request)
        uses = _uses(request)
        for name, value in fields(uses).items():
            response[name] = value
        if response.status_code == 429 and "Retry-After" not in response and any(u.is_exceeded for u in uses):
            response["Retry-After"] = str(wait_s(uses))
        return response

    return middleware
