"""Links to what goes out of the site: files of a table, badges and frames, and what links to a page show."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from leaderboard.export.addresses import absolute
from leaderboard.export.cards import MOTTO
from leaderboard.export.formats import FORMATS
from leaderboard.export.plain import line, xml
from leaderboard.models import Benchmark, Corpus, Generator, Submission

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
            # All of it at a width of 640, so that the frame has no bar to scroll with.
            "height": 460 if kind == "detector" else 500,
            # It stands in the source of another page, which is shown on this one.
            "title": xml(line(name, 80)),
        },
        "badge": reverse("detector-badge", args=[key]) if kind == "detector" else "",
        "markdown": f"[![{shown} on Tidemark]({page}badge.svg)]({page})" if kind == "detector" else "",
    }


@register.inclusion_tag("parts/opengraph.html")
def opengraph() -> dict[str, str]:
    """What a link to the site is shown with elsewhere."""
    return _opengraph("Tidemark: detectors of AI-generated images", MOTTO, reverse("home"), "site-picture")


@register.inclusion_tag("parts/opengraph.html")
def opengraph_board(benchmark: Benchmark, route: str = "leaderboard", asof: str = "") -> dict[str, str]:
    """For the pages of a board; ``asof`` as in the address."""
    about = benchmark.description or "Which detector holds up on generators that it has never met."
    query = f"?{urlencode({'asof': asof})}" if asof else ""
    page = reverse(route, args=[benchmark.slug]) + query
    title = f"{benchmark.name}{_simulated(benchmark.corpus)}"
    return _opengraph(title, about, page, "board-picture", benchmark.slug, query=query)


@register.inclusion_tag("parts/opengraph.html")
def opengraph_detector(submission: Submission) -> dict[str, str]:
    about = f"{submission.team.name} on {submission.benchmark.name}. {submission.description or MOTTO}"
    title = f"{submission.name}{_simulated(submission.benchmark.corpus)}"
    page = reverse("detector", args=[submission.pk])
    return _opengraph(title, about, page, "detector-picture", submission.pk)


@register.inclusion_tag("parts/opengraph.html")
def opengraph_generator(generator: Generator) -> dict[str, str]:
    about = (
        f"Released on {generator.release_date.isoformat()}: how each detector met it before it could "
        "learn from it."
    )
    key = (generator.corpus.slug, generator.slug)
    title = f"{generator.name}{_simulated(generator.corpus)}"
    return _opengraph(title, about, reverse("generator", args=key), "generator-picture", *key)


def _simulated(corpus: Corpus) -> str:
    return " (simulated corpus)" if corpus.simulated else ""


def _opengraph(
    title: str, description: str, page: str, picture: str, *args: object, query: str = ""
) -> dict[str, str]:
    """``picture`` is the route of a picture, with ``args`` and the query."""
    return {
        "title": line(title),
        "description": line(description, 300),
        "page": absolute(page),
        "picture": absolute(reverse(picture, args=args) + query),
    }
