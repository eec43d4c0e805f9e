"""What has arrived on a benchmark: the page, and the feed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from leaderboard.models import Benchmark
from leaderboard.pages.requests import HtmxRequest
from leaderboard.selectors import arrivals as selector
from leaderboard.selectors.arrivals import Arrival, Arrivals

FEED_LENGTH = 50
# XML 1.0 has no way to write these.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def plain(text: str) -> str:
    """A text as a feed can hold it."""
    return CONTROL.sub("", text)


def _benchmark(slug: str) -> Benchmark:
    return get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)


@require_safe
@vary_on_headers("HX-Request")
def arrivals(request: HtmxRequest, slug: str) -> HttpResponse:
    """The whole page, or just the table while first contacts come in."""
    found = selector.arrivals(_benchmark(slug))
    template = "arrivals/_arrivals.html" if request.htmx else "arrivals/arrivals.html"
    return render(request, template, {"arrivals": found, "benchmark": found.benchmark})


class ArrivalsFeed(Feed):  # type: ignore[type-arg]
    """One entry a generator. It is updated once all detectors have met it, and when it is withdrawn."""

    feed_type = Atom1Feed
    author_name = "Tidemark"

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Arrivals:
        return selector.arrivals(_benchmark(kwargs["slug"]), limit=FEED_LENGTH)

    def title(self, found: Arrivals) -> str:
        simulated = " (simulated corpus)" if found.benchmark.corpus.simulated else ""
        return plain(f"{found.benchmark.name}{simulated}: arrivals")

    def subtitle(self, found: Arrivals) -> str:
        return "Generators as they are published, and how detectors met each before learning from it."

    def link(self, found: Arrivals) -> str:
        return reverse("arrivals", args=[found.benchmark.slug])

    def items(self, found: Arrivals) -> tuple[Arrival, ...]:
        return tuple(sorted(found.rows, key=lambda row: row.updated_at, reverse=True))

    def item_title(self, item: Arrival) -> str:
        return plain(self._title(item))

    def _title(self, item: Arrival) -> str:
        if item.generator.is_withdrawn:
            return f"{item.generator.name} was withdrawn"
        if item.met.is_complete:
            n = item.met.n_met
            return f"{item.generator.name}: met by {n} detector{'s' if n != 1 else ''}"
        return f"{item.generator.name} has arrived"

    def item_description(self, item: Arrival) -> str:
        return plain(self._description(item))

    def _description(self, item: Arrival) -> str:
        generator, met = item.generator, item.met
        if generator.is_withdrawn:
            return f"Withdrawn: {generator.withdrawal_reason}"
        family = f" ({generator.family})" if generator.family else ""
        told = f"{generator.name}{family}, released on {generator.release_date.isoformat()}."
        if met.is_complete and met.best is not None and met.median is not None:
            told += (
                f" AUROC at first contact: best {met.best:.3f}, median {met.median:.3f};"
                f" {met.n_prospective} of {met.n_met} prospective."
            )
        return told

    def item_link(self, item: Arrival) -> str:
        return reverse("generator", args=[item.generator.corpus.slug, item.generator.slug])

    def item_guid(self, item: Arrival) -> str:
        # After RFC 4151: it stays the same wherever the site moves.
        corpus = item.generator.corpus
        day = corpus.created_at.astimezone(UTC).date().isoformat()
        return f"tag:tidemark,{day}:{corpus.slug}/{item.generator.slug}"

    def item_pubdate(self, item: Arrival) -> datetime:
        return item.published_at

    def item_updateddate(self, item: Arrival) -> datetime:
        return item.updated_at

    def item_categories(self, item: Arrival) -> tuple[str, ...]:
        family = plain(item.generator.family)
        return (family,) if family else ()
