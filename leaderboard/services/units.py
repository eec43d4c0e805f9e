"""Evaluation units: a generator's evaluation images with the reals that are paired with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from leaderboard.models import Benchmark, Split, Unit
from leaderboard.selectors.images import Row, paired_reals, published_rows
from leaderboard.store import store
from protocols.errors import DataError
from protocols.pairing import pair, pair_newcomer
from protocols.states import BatchState

Pairs = list[tuple[str, str]]


def units_ensure(benchmark: Benchmark, slugs: Sequence[str]) -> list[Unit]:
    """The newest units of these generators, made where there is none or where images were added since.

    The first units of a benchmark follow the official pairing over the whole split. A later
    generator takes reals that nobody has, so no earlier unit changes; one that was published
    again with more images gets a unit of the next version, for which its former reals are
    free again. Raises ``DataError``: ``not_enough_reals``, or ``batch_empty`` for a generator
    without an evaluation image. The caller holds the benchmark's lock.
    """
    newest = {unit.generator.slug: unit for unit in _newest_first(benchmark)}
    rows = published_rows(benchmark, Split.EVAL)
    fakes: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        fakes[row.generator].append(row.content_hash)
    first = not newest
    wanted = [slug for slug in slugs if slug not in newest or _has_grown(newest[slug], fakes[slug])]
    pairs = _official_pairs(benchmark, rows) if first else _late_pairs(benchmark, wanted, newest, fakes)
    generators = {generator.slug: generator for generator in benchmark.corpus.generators.all()}
    for slug in wanted:
        if not fakes[slug]:
            raise DataError("batch_empty", f"{slug} has no image for evaluation, so no score.")
        if not pairs.get(slug):
            raise DataError("not_enough_reals", f"No real image is left to pair with those of {slug}.")
        manifest = {
            "degradation": benchmark.degradation,
            "fakes": [fake for _, fake in pairs[slug]],
            "reals": [real for real, _ in pairs[slug]],
        }
        newest[slug] = Unit.objects.create(
            benchmark=benchmark,
            generator=generators[slug],
            version=newest[slug].version + 1 if slug in newest else 1,
            manifest=store().put_json(manifest),
            n_fakes=len(pairs[slug]),
            n_reals=len(pairs[slug]),
        )
    return [newest[slug] for slug in slugs]


def _newest_first(benchmark: Benchmark) -> list[Unit]:
    # In ascending order of version, so that the newest comes last and wins in a dictionary.
    return list(benchmark.units.select_related("generator").order_by("version"))


def _has_grown(unit: Unit, fakes: Iterable[str]) -> bool:
    """Whether images were published that were not there when the unit was made.

    The official balancing may leave images out, so a unit can lack images of old: what counts
    is whether a batch came later.
    """
    later = unit.generator.batches.filter(
        state=BatchState.PUBLISHED, published_at__gt=unit.created_at, n_eval__gt=0
    )
    return later.exists() and not set(fakes) <= set(store().read_json(unit.manifest)["fakes"])


def _official_pairs(benchmark: Benchmark, rows: Sequence[Row]) -> dict[str, Pairs]:
    pairs: dict[str, Pairs] = defaultdict(list)
    for real, fake in pair([row.generator for row in rows], seed=benchmark.seed).pairs:
        pairs[rows[fake].generator].append((rows[real].content_hash, rows[fake].content_hash))
    return pairs


def _late_pairs(
    benchmark: Benchmark, slugs: Sequence[str], newest: dict[str, Unit], fakes: dict[str, list[str]]
) -> dict[str, Pairs]:
    """Pairs for newcomers, one generator after the other; ``fakes[""]`` are all the reals."""
    replaced = [newest[slug].generator_id for slug in slugs if slug in newest]
    taken = paired_reals(benchmark.units.exclude(generator__in=replaced))
    free = [digest for digest in fakes[""] if digest not in taken]
    pairs: dict[str, Pairs] = {}
    for slug in slugs:
        pairs[slug] = pair_newcomer(slug, fakes[slug], free, seed=benchmark.seed)
        used = {real for real, _ in pairs[slug]}
        free = [digest for digest in free if digest not in used]
    return pairs
