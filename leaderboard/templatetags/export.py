"""Links to what goes out of the site: files of a table, badges and frames, and what links to a page show."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse

from leaderboard.export.addresses import absolute
from leaderboard.export.formats import FORMATS
from leaderboard.export.plain import line

register = template.Library()

NAMES = {"csv": "CSV", "json": "JSON", "parquet": "Parquet"}


@register.inclusion_tag("parts/exports.html")
def exports(route: str, *args: object, query: str = "", of: str = "this table") -> dict[str, Any]:
    """The files of a table: ``route`` with ``args`` before the suffix, and the query of a view.

    ``of`` says in a few words of what table they are, for who hears the links alone.
    """
    asked = "" if query == "?" else query
    links = [(NAMES[suffix], reverse(route, args=[*args, suffix]) + asked) for suffix in FORMATS]
    return {"links": links, "of": of}


@register.inclusion_tag("parts/sharing.html")
def sharing(kind: str, key: object, name: str, *, query: str = "") -> dict[str, Any]:
    """How others show a detector (``key``: its id) or a board (its slug), and cite it, to be copied.

    ``query`` of a board names which one.
    """
    asked = "" if query == "?" else query
    page = absolute(reverse("detector" if kind == "detector" else "leaderboard", args=[key]))
    shown = line(name, 80).translate(str.maketrans("", "", "[]\\`"))
    return {
        "kind": kind,
        "citation": reverse(f"{kind}-citation", args=[key]) + asked,
        "embed": reverse(f"{kind}-embed", args=[key]) + asked,
        "frame": {
            "src": absolute(reverse(f"{kind}-embed", args=[key])) + asked,
            "height": 400 if kind == "detector" else 440,
            "title": line(name, 80),
        },
        "badge": reverse("detector-badge", args=[key]) if kind == "detector" else "",
        "markdown": f"[![{shown} on Tidemark]({page}badge.svg)]({page})" if kind == "detector" else "",
    }


@register.inclusion_tag("parts/opengraph.html")
def opengraph(title: str, description: str, page: str, picture: str) -> dict[str, str]:
    """What a link to this page is shown with elsewhere; ``page`` and ``picture`` are paths on this site."""
    return {
        "title": line(title),
        "description": line(description, 300),
        "page": absolute(page),
        "picture": absolute(picture),
    }
