"""How often something may be done: rates as the settings name them, and counting against them."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Rate:
    amount: int
    window_s: int


def parse_rate(text: str) -> Rate | None:
    """``"600/min"``, or ``"20/10min"``; empty for no bound. Raises ``ImproperlyConfigured``."""
    if not text:
        return None
    amount, _, window = text.partition("/")
    unit = window.lstrip("0123456789")
    times = window[: len(window) - len(unit)] or "1"
    if not amount.isdecimal() or unit not in UNITS_S or int(amount) < 1 or int(times) < 1:
        raise ImproperlyConfigured(f"{text!r} is no rate; write 600/min, with one of {', '.join(UNITS_S)}.")
    return Rate(int(amount), int(times) * UNITS_S[unit])


@dataclass(frozen=True)
class Use:
    """How a policy stands after a request was counted. ``used`` is ``None`` where nothing is counted."""

    policy: str
    rate: Rate
    used: int | None
    reset_s: int

    @property
    def left(self) -> int:
        return max(0, self.rate.amount - (self.used or 0))

    @property
    def is_exceeded(self) -> bool:
        return self.used is not None and self.used > self.rate.amount


def count(policy: str, who: object) -> Use | None:
    """Count one request of ``who`` against a policy of ``settings.THROTTLES``; ``None`` without a bound."""
    rate = parse_rate(settings.THROTTLES[policy])
    if rate is None:
        return None
    # What people send must not shape a key.
    name = hashlib.sha256(str(who).encode()).hexdigest()[:32]
    found = cache.count(f"limit:{policy}:{rate.window_s}:{name}", rate.window_s)  # type: ignore[attr-defined]
    used, reset_s = found or (None, rate.window_s)
    return Use(policy, rate, used, reset_s)


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: the peer, or what the last of ``NUM_PROXIES`` proxies of ours was told.

    Of an IPv6 address the network of its subscriber counts (/64), whose addresses are too many to limit
    one by one.
    """
    text = request.META.get("REMOTE_ADDR", "")
    proxies: int = settings.NUM_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if proxies and forwarded[0]:
        text = forwarded[-min(proxies, len(forwarded))]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # A unix socket has no address, and a proxy may have told nonsense.
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def wait_s(uses: list[Use]) -> int:
    """Seconds until none of the exceeded ones is."""
    return max((math.ceil(use.reset_s) for use in uses if use.is_exceeded), default=1)
