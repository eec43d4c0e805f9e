"""Benchmarks and their editions: which windows there are, who trains on what, who is scored on what."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from leaderboard.models import Benchmark, Corpus, Edition, Generator, Image, Split, Submission, Unit, Window
from leaderboard.models.benchmarks import default_budgets
from leaderboard.services.runs import run_create
from leaderboard.store import store
from protocols.allocation import sample_reals
from protocols.errors import DataError, RequestError
from protocols.pairing import pair, pair_newcomer
from protocols.states import BatchState, SubmissionState
from protocols.timeline import Timeline, split_closed_open


@dataclass(frozen=True)
class Row:
    """An image of a published batch; ``generator`` is "" for a real."""

    content_hash: str
    generator: str


def benchmark_create(
    *,
    slug: str,
    name: str,
    corpus: Corpus,
    budgets: Mapping[str, Mapping[str, float]] | None = None,
    **parameters: Any,
) -> Benchmark:
    """``budgets`` holds, by phase, what differs from the defaults.

    Raises ``RequestError('conflict')`` when the slug is taken.
    """
    if Benchmark.objects.filter(slug=slug).exists():
        raise RequestError("conflict", f"There is a benchmark {slug!r} already.")
    merged = {
        phase: values | dict((budgets or {}).get(phase, {})) for phase, values in default_budgets().items()
    }
    return Benchmark.objects.create(slug=slug, name=name, corpus=corpus, budgets=merged, **parameters)


def timeline(benchmark: Benchmark) -> Timeline:
    """The closed windows and the open one over all published generators, as slugs."""
    published = Generator.objects.filter(
        corpus=benchmark.corpus_id, batches__state=BatchState.PUBLISHED
    ).distinct()
    dates = dict(published.values_list("slug", "release_date"))
    return split_closed_open(dates, benchmark.generators_per_window)


def edition_open(benchmark: Benchmark) -> Edition:
    """Make the edition of all that is published now, and plan a run of every accepted submission on it.

    Windows that the previous edition has already stay as they are. When no window is
    new, the present edition is returned; generators beyond the last full window are the
    open window, which is evaluated on and not trained on.

    Raises ``RequestError('nothing_to_open')`` when no window is full, and
    ``DataError('not_enough_reals')``.
    """
    with transaction.atomic():
        benchmark = Benchmark.objects.select_for_update(of=("self",)).get(pk=benchmark.pk)
        times = timeline(benchmark)
        if not times.closed:
            raise RequestError(
                "nothing_to_open",
                f"{benchmark.slug} needs {benchmark.generators_per_window} published generators for its "
                f"first window; there are {len(times.open)}.",
            )
        _add_units(benchmark, [slug for window in (*times.closed, times.open) for slug in window])
        current = benchmark.editions.last()
        manifests = _window_manifests(benchmark, current, times.closed)
        digest = hashlib.sha256("".join(key for key, _ in manifests).encode()).hexdigest()
        if current is not None and current.manifest_hash == digest:
            return current
        edition = Edition.objects.create(
            benchmark=benchmark, number=current.number + 1 if current else 1, manifest_hash=digest
        )
        slugs = {generator.slug: generator for generator in benchmark.corpus.generators.all()}
        for index, ((manifest, n_images), members) in enumerate(zip(manifests, times.closed, strict=True)):
            window = Window.objects.create(edition=edition, index=index, manifest=manifest, n_images=n_images)
            window.generators.set([slugs[slug] for slug in members])
        for submission in Submission.objects.filter(benchmark=benchmark, state=SubmissionState.ACCEPTED):
            run_create(submission, edition, seed=submission.seed)
    return edition


def _rows(benchmark: Benchmark, split: str) -> list[Row]:
    """The published images of a split, in the row order that the seeded draws refer to."""
    images = Image.objects.filter(
        corpus=benchmark.corpus_id, split=split, batch__state=BatchState.PUBLISHED
    ).order_by("id")
    return [
        Row(digest, slug or "")
        for digest, slug in images.values_list("content_hash", "batch__generator__slug")
    ]


def _window_manifests(
    benchmark: Benchmark, current: Edition | None, closed: Sequence[Sequence[str]]
) -> list[tuple[str, int]]:
    """The store key and the number of images of every window's training list."""
    rows = _rows(benchmark, Split.TRAIN)
    fakes: dict[str, list[int]] = defaultdict(list)
    unused: dict[str, int] = {}
    for number, row in enumerate(rows):
        if row.generator:
            fakes[row.generator].append(number)
        else:
            unused[row.content_hash] = number
    kept = _unchanged_windows(current, closed)
    result = [(window.manifest, window.n_images) for window in kept]
    for window in kept:
        for digest, label, _ in store().read_json(window.manifest)["rows"]:
            if label == 0:
                unused.pop(digest, None)
    for index in range(len(kept), len(closed)):
        chosen = [number for slug in closed[index] for number in fakes[slug]]
        reals = sample_reals(list(unused.values()), len(chosen), index, benchmark.seed)
        for number in reals:
            del unused[rows[number].content_hash]
        listed = [[rows[n].content_hash, 0, ""] for n in reals]
        listed += [[rows[n].content_hash, 1, rows[n].generator] for n in sorted(chosen)]
        result.append((store().put_json({"window": index, "rows": listed}), len(listed)))
    return result


def _unchanged_windows(current: Edition | None, closed: Sequence[Sequence[str]]) -> list[Window]:
    """The leading windows of the present edition that the new timeline has too."""
    if current is None:
        return []
    kept = []
    for window, members in zip(current.windows.prefetch_related("generators"), closed, strict=False):
        if {generator.slug for generator in window.generators.all()} != set(members):
            break
        kept.append(window)
    return kept


def _add_units(benchmark: Benchmark, slugs: Sequence[str]) -> None:
    """Make the units of generators that have none: all at once at first, one by one for newcomers.

    The first units follow the official pairing over the whole split; a later
    generator takes reals that nobody has, so no earlier unit changes.
    """
    units = list(benchmark.units.select_related("generator"))
    known = {unit.generator.slug for unit in units}
    new = [slug for slug in slugs if slug not in known]
    if not new:
        return
    rows = _rows(benchmark, Split.EVAL)
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if not units:
        for real, fake in pair([row.generator for row in rows], seed=benchmark.seed).pairs:
            pairs[rows[fake].generator].append((rows[real].content_hash, rows[fake].content_hash))
    else:
        paired = {digest for unit in units for digest in store().read_json(unit.manifest)["reals"]}
        free = [row.content_hash for row in rows if not row.generator and row.content_hash not in paired]
        for slug in new:
            fakes = [row.content_hash for row in rows if row.generator == slug]
            pairs[slug] = pair_newcomer(slug, fakes, free, seed=benchmark.seed)
            taken = {real for real, _ in pairs[slug]}
            free = [digest for digest in free if digest not in taken]
    generators = {generator.slug: generator for generator in benchmark.corpus.generators.all()}
    for slug in new:
        if not pairs[slug]:
            raise DataError("not_enough_reals", f"No real image is left to pair with those of {slug}.")
        manifest = store().put_json(
            {
                "degradation": benchmark.degradation,
                "fakes": [fake for _, fake in pairs[slug]],
                "reals": [real for real, _ in pairs[slug]],
            }
        )
        Unit.objects.create(
            benchmark=benchmark,
            generator=generators[slug],
            manifest=manifest,
            n_fakes=len(pairs[slug]),
            n_reals=len(pairs[slug]),
        )
