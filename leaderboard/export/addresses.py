"""Addresses for elsewhere: they begin with ``SITE_URL``, which no request can choose."""

from __future__ import annotations

from django.conf import settings


def site() -> str:
    """The address of the site, without a slash in the end."""
    return str(settings.SITE_URL).rstrip("/")


def absolute(path: str) -> str:
    return f"{site()}{path}"
