"""Training sets: the images of a window with their labels, as they were decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evaluator.data.artifacts import artifact_key, built_once
from evaluator.data.datasets import write_files
from evaluator.data.ids import Purpose, image_id, key_fingerprint
from evaluator.data.progress import Progress
from evaluator.data.shards import Shard, places
from leaderboard.models import ArtifactKind, Batch, Split, Window
from leaderboard.store import Store, store
from protocols.contract import TRAIN_COLUMNS

TRAIN_FORMAT = 2


@dataclass(frozen=True)
class TrainSet:
    """The training images of one window: ``files`` are the store keys of the Arrow files."""

    key: str
    files: tuple[str, ...]
    n_images: int


def ensure_training_window(window: Window, progress: Progress) -> TrainSet:
    """The training set of one window, built once and shared by all detectors.

    Rows are in the order of their content hashes, which knows nothing of labels and is the same on
    every server, so that a detector with a fixed seed learns the same from the same images. Raises
    ``PlatformError('staging_failed')`` when an image of the manifest is not in the corpus.
    """
    manifest = store().read_json(window.manifest)
    index = int(manifest["window"])
    facts = {content_hash: (label, generator) for content_hash, label, generator in manifest["rows"]}
    hashes = sorted(facts)

    def build(target: Store) -> list[str]:
        where = places(window.edition.benchmark.corpus, Split.TRAIN, list(facts))
        batches = Batch.objects.in_bulk({batch for batch, _ in where.values()})
        shards = {batch.pk: Shard(target, batch.train_shard) for batch in batches.values()}

        def rows() -> Iterator[tuple[bytes, str, int, str, int]]:
            for content_hash in hashes:
                batch_id, row = where[content_hash]
                opaque = image_id(content_hash, Purpose.TRAIN)
                yield shards[batch_id].png(row), opaque, *facts[content_hash], index

        return write_files(target, TRAIN_COLUMNS, rows(), len(hashes), progress)

    key = artifact_key(kind="train", format=TRAIN_FORMAT, ids=key_fingerprint(), window=window.manifest)
    files = built_once(key, build, progress, kind=ArtifactKind.TRAIN, sources=[window.manifest])
    return TrainSet(key, files, len(hashes))
