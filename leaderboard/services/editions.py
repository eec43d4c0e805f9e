"""Editions: which windows there are, who trains on what, and what becomes of a full open window."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from leaderboard.models import (
    Benchmark,
    Closing,
    Edition,
    EditionUnit,
    Split,
    Unit,
    Window,
)
from leaderboard.selectors.images import published_rows
from leaderboard.selectors.seeds import planned_runs
from leaderboard.selectors.windows import FAKE, REAL, timeline_anew, timeline_extended, unchanged_windows
from leaderboard.services.audit import Verb, record
from leaderboard.services.boards import board_touch
from leaderboard.services.moves import SERVER
from leaderboard.services.news import tell_opened
from leaderboard.services.runs import arrival_steps, run_create
from leaderboard.services.units import units_ensure
from leaderboard.store import store
from protocols.allocation import sample_reals
from protocols.errors import RequestError

# The store key of a window's training list, and how many images it names.
Manifest = tuple[str, int]


def benchmark_lock(benchmark: Benchmark) -> Benchmark:
    """Lock the benchmark's timeline for this transaction: arrivals and editions happen one by one."""
    # Not its key: others write rows that name the benchmark, and may hold what is waited for here.
    return Benchmark.objects.select_for_update(of=("self",), no_key=True).get(pk=benchmark.pk)


def edition_open(benchmark: Benchmark, *, actor: object = SERVER) -> Edition:
    """Cut the windows anew over all that is published, and plan a run of every active submission on them.

    This is how a benchmark begins, and how generators find their place that are older than
    the frontier, were published again with more images, were re-dated or withdrawn. Leading
    windows that stay the same keep their training lists, so their steps are reused. When
    nothing is new, the present edition is returned.

    Raises ``RequestError('nothing_to_open')`` when no window is full, and
    ``DataError('not_enough_reals')``.
    """
    with transaction.atomic():
        benchmark = benchmark_lock(benchmark)
        times = timeline_anew(benchmark)
        if not times.closed:
            raise RequestError(
                "nothing_to_open",
                f"{benchmark.slug} needs {benchmark.generators_per_window} published generators for its "
                f"first window; there are {len(times.open)}.",
            )
        current = benchmark.editions.last()
        units = units_ensure(benchmark, [slug for window in (*times.closed, times.open) for slug in window])
        kept = unchanged_windows(benchmark, current, times.closed)
        edition = _edition_make(benchmark, times.closed, units, kept, current)
        if edition.opened_at is None:
            _start(edition, actor)
    return edition


def edition_extend(benchmark: Benchmark, *, actor: object = SERVER) -> Edition | None:
    """Close the open window if it is full: a new edition, a strict extension of the present one.

    It is opened at once, or waits for a maintainer, as the benchmark says. ``None`` when
    nothing closes. The caller holds the benchmark's lock.
    """
    current = benchmark.editions.last()
    if current is None:
        return None
    times = timeline_extended(current)
    if len(times.closed) == current.windows.count():
        return None
    units = list(current.units.select_related("generator"))
    edition = _edition_make(benchmark, times.closed, units, list(current.windows.all()), current)
    for index in range(current.windows.count(), len(times.closed)):
        record(actor, Verb.WINDOW_CLOSED, f"{benchmark.slug} window {index}", edition=edition.number)
    if benchmark.closing == Closing.AUTOMATIC:
        _start(edition, actor)
    return edition


def edition_approve(edition: Edition, *, actor: object, budget_s: int | None = None) -> Edition:
    """Let training on a closed window begin, or change the budget of an edition that is open already.

    ``budget_s``: container seconds that its training may take altogether; ``None`` sets no
    bound. Once it is spent, training steps wait until somebody approves more. Approving the
    newest edition leaves older ones that still wait as they are: it contains their windows.

    Raises ``RequestError('conflict')`` when a newer edition is open.
    """
    with transaction.atomic():
        benchmark = benchmark_lock(edition.benchmark)
        edition = Edition.objects.select_related("benchmark").get(pk=edition.pk)
        if benchmark.editions.filter(number__gt=edition.number, opened_at__isnull=False).exists():
            raise RequestError("conflict", f"A newer edition than {edition} is open already.")
        edition.budget_s = budget_s
        edition.save(update_fields=["budget_s"])
        if edition.opened_at is None:
            _start(edition, actor)
        else:
            record(actor, Verb.BUDGET_CHANGED, edition, budget_s=budget_s)
    return edition


def newcomer_join(edition: Edition, unit: Unit) -> None:
    """Score the runs of an edition on a unit of its open window too, with their last checkpoints.

    Joining twice changes nothing. The caller holds the benchmark's lock.
    """
    _, joins = EditionUnit.objects.get_or_create(edition=edition, unit=unit)
    if joins and edition.opened_at is not None:
        arrival_steps(edition, unit)
        board_touch(edition.benchmark_id)


def _start(edition: Edition, actor: object) -> None:
    """Open an edition: every active submission gets a run on it with each of its seeds."""
    runs = [
        run_create(submission, edition, seed=seed) for submission, seed in planned_runs(edition.benchmark)
    ]
    edition.opened_at = timezone.now()
    if not runs:
        edition.settled_at = edition.opened_at
    edition.save(update_fields=["opened_at", "settled_at"])
    record(actor, Verb.EDITION_OPENED, edition, runs=len(runs), budget_s=edition.budget_s)
    tell_opened(edition)
    board_touch(edition.benchmark_id)


def _edition_make(
    benchmark: Benchmark,
    closed: Sequence[Sequence[str]],
    units: Sequence[Unit],
    kept: Sequence[Window],
    current: Edition | None,
) -> Edition:
    """The edition with these windows and units: the present one if it is that, else a new one.

    ``kept``: the leading windows that keep the training lists that they have in ``current``.
    """
    manifests = _window_manifests(benchmark, closed, kept)
    digest = hashlib.sha256("".join(key for key, _ in manifests).encode()).hexdigest()
    if current is not None and current.manifest_hash == digest and set(current.units.all()) <= set(units):
        for unit in units:
            newcomer_join(current, unit)
        return current
    generators = {generator.slug: generator for generator in benchmark.corpus.generators.all()}
    edition = Edition.objects.create(
        benchmark=benchmark,
        number=current.number + 1 if current else 1,
        manifest_hash=digest,
        frontier=max(generators[slug].release_date for window in closed for slug in window),
    )
    for index, ((manifest, n_images), members) in enumerate(zip(manifests, closed, strict=True)):
        window = Window.objects.create(edition=edition, index=index, manifest=manifest, n_images=n_images)
        window.generators.set([generators[slug] for slug in members])
    edition.units.set(units)
    return edition


def _window_manifests(
    benchmark: Benchmark, closed: Sequence[Sequence[str]], kept: Sequence[Window]
) -> list[Manifest]:
    """The training lists of all windows: those of ``kept``, then new ones with reals that none has."""
    rows = published_rows(benchmark, Split.TRAIN)
    fakes: dict[str, list[int]] = defaultdict(list)
    unused: dict[str, int] = {}
    for number, row in enumerate(rows):
        if row.generator:
            fakes[row.generator].append(number)
        else:
            unused[row.content_hash] = number
    result = [(window.manifest, window.n_images) for window in kept]
    for window in kept:
        for digest, label, _ in store().read_json(window.manifest)["rows"]:
            if label == REAL:
                unused.pop(digest, None)
    for index in range(len(kept), len(closed)):
        chosen = [number for slug in closed[index] for number in fakes[slug]]
        reals = sample_reals(list(unused.values()), len(chosen), index, benchmark.seed)
        for number in reals:
            del unused[rows[number].content_hash]
        listed = [[rows[n].content_hash, REAL, ""] for n in reals]
        listed += [[rows[n].content_hash, FAKE, rows[n].generator] for n in sorted(chosen)]
        result.append((store().put_json({"window": index, "rows": listed}), len(listed)))
    return result
