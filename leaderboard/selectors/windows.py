"""Where published generators stand: the windows as they are, as they will grow, and as they could be cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from leaderboard.models import Benchmark, Edition, Generator, Split, Window
from leaderboard.selectors.images import published_rows
from leaderboard.store import store
from protocols.states import BatchState
from protocols.timeline import Timeline, extend, split_closed_open

Dates = Mapping[str, date]

# How a training list calls its images.
REAL, FAKE = 0, 1


def published_dates(benchmark: Benchmark) -> dict[str, date]:
    """The release dates of all generators that are published and not withdrawn, by slug."""
    published = Generator.objects.filter(
        corpus=benchmark.corpus_id, batches__state=BatchState.PUBLISHED, withdrawn_at=None
    ).distinct()
    return dict(published.values_list("slug", "release_date"))


def closed_windows(edition: Edition) -> list[list[str]]:
    """The slugs of the generators of each closed window."""
    windows = edition.windows.prefetch_related("generators")
    return [[generator.slug for generator in window.generators.all()] for window in windows]


def timeline_anew(benchmark: Benchmark, dates: Dates | None = None) -> Timeline:
    """The windows over all that is published (or over ``dates``), as if nothing had been cut before."""
    chosen = published_dates(benchmark) if dates is None else dates
    return split_closed_open(chosen, benchmark.generators_per_window)


def timeline_extended(edition: Edition, dates: Dates | None = None) -> Timeline:
    """The windows of ``edition`` with what has been published since (or with ``dates``)."""
    benchmark = edition.benchmark
    chosen = published_dates(benchmark) if dates is None else dates
    return extend(closed_windows(edition), edition.frontier, chosen, benchmark.generators_per_window)


def unchanged_windows(
    benchmark: Benchmark, current: Edition | None, closed: Sequence[Sequence[str]]
) -> list[Window]:
    """The leading windows of the present edition that would be cut just so again, images and all."""
    if current is None:
        return []
    published: dict[str, set[str]] = defaultdict(set)
    for row in published_rows(benchmark, Split.TRAIN):
        published[row.generator].add(row.content_hash)
    kept = []
    for window, members in zip(current.windows.prefetch_related("generators"), closed, strict=False):
        if {generator.slug for generator in window.generators.all()} != set(members):
            break
        listed = {h for h, label, _ in store().read_json(window.manifest)["rows"] if label == FAKE}
        if listed != set().union(*(published[slug] for slug in members)):
            break
        kept.append(window)
    return kept
