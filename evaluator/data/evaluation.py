"""Evaluation sets: degraded once, and mixed so that nothing tells one unit's images from another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from evaluator.data.artifacts import artifact_key, built_once
from evaluator.data.datasets import write_files
from evaluator.data.ids import Purpose, image_id, key_fingerprint
from evaluator.data.jobs import freeze
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress, part
from evaluator.data.shards import Shard, ShardWriter, places
from leaderboard.models import ArtifactKind, Batch, Split, Unit
from leaderboard.store import Store, store
from protocols.contract import EVAL_COLUMNS

# Part of the keys: what is built in a new way gets new keys, and is built anew.
FROZEN_FORMAT = 1
EVAL_FORMAT = 1
# Freezing takes nearly all of the time.
_FREEZING = 0.9


@dataclass(frozen=True)
class EvalSet:
    """The evaluation images of some units, mixed: ``files`` are the store keys of the Arrow files."""

    key: str
    files: tuple[str, ...]
    n_images: int

    def image_ids(self, unit: Unit) -> list[str]:
        """The ids of a unit's images in the order of its manifest: fakes, then reals."""
        manifest = store().read_json(unit.manifest)
        return [image_id(h, Purpose.EVAL) for h in manifest["fakes"] + manifest["reals"]]


def ensure_frozen(batch: Batch, degradation: str, progress: Progress) -> str:
    """The store key of the shard with a batch's evaluation images degraded, row by row as ``eval_shard``.

    Built in parallel, once for all detectors and benchmarks with this ``degradation`` version.
    """

    def build(target: Store) -> list[str]:
        shard = Shard(target, batch.eval_shard)
        images = ((shard.png(row), shard.content_hash(row), degradation) for row in range(len(shard)))
        with ShardWriter(target) as frozen, closing(map_ordered(freeze, images)) as results:
            for (_, content_hash, _), png in results:
                frozen.write(content_hash, png)
                progress(frozen.n_rows / len(shard), f"degrading the evaluation images of {batch.origin}")
            return [frozen.finish()]

    key = artifact_key(kind="frozen", format=FROZEN_FORMAT, shard=batch.eval_shard, degradation=degradation)
    (frozen,) = built_once(key, build, progress, kind=ArtifactKind.FROZEN, sources=[batch.eval_shard])
    return frozen


def ensure_eval_set(units: Sequence[Unit], progress: Progress) -> EvalSet:
    """The evaluation set of ``units`` (of one benchmark), built once and shared by all detectors.

    Rows are in the order of their keyed ids, so neither order nor files follow units or labels.
    Raises ``PlatformError('staging_failed')`` when an image of a manifest is not in the corpus.
    """
    manifests = [store().read_json(unit.manifest) for unit in units]
    (degradation,) = {manifest["degradation"] for manifest in manifests}
    hashes = {h: None for manifest in manifests for h in manifest["fakes"] + manifest["reals"]}
    ids = sorted((image_id(h, Purpose.EVAL), h) for h in hashes)

    def build(target: Store) -> list[str]:
        where = places(units[0].benchmark.corpus, Split.EVAL, list(hashes))
        batches = Batch.objects.select_related("generator").in_bulk({batch for batch, _ in where.values()})
        frozen = {}
        for n, batch in enumerate(batches.values()):
            share = part(progress, _FREEZING * n / len(batches), _FREEZING * (n + 1) / len(batches))
            frozen[batch.pk] = Shard(target, ensure_frozen(batch, degradation, share))

        def rows() -> Iterator[tuple[bytes, str]]:
            for opaque, content_hash in ids:
                batch_id, row = where[content_hash]
                yield frozen[batch_id].png(row), opaque

        return write_files(target, EVAL_COLUMNS, rows(), len(ids), part(progress, _FREEZING, 1.0))

    sources = sorted(unit.manifest for unit in units)
    key = artifact_key(kind="eval", format=EVAL_FORMAT, ids=key_fingerprint(), units=sources)
    files = built_once(key, build, progress, kind=ArtifactKind.EVAL, sources=sources)
    return EvalSet(key, files, len(ids))
