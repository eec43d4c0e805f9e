"""Taking in the images of a batch: decoded, deduplicated, split and written to shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from operator import length_hint
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction

from evaluator.data.fingerprints import near_pairs
from evaluator.data.jobs import Fault, Prepared, prepare, prepare_crashed
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress
from evaluator.data.shards import ShardWriter
from evaluator.data.sources import SourceFile
from evaluator.lease import with_database
from leaderboard.models import Batch, Image, Split
from leaderboard.store import store
from protocols.errors import DataError, RequestError
from protocols.states import BatchState

# Files without a folder train/ or eval/: this share of all content hashes is for evaluation.
EVAL_SHARE = 0.2
# The report names this many rejected files and near duplicates; it counts all.
MAX_LISTED = 1000

_ATTEMPTS = 5
_INSERT_ROWS = 2000
_DECODING = 0.95


@dataclass(frozen=True)
class Rejection:
    """A file that was not taken, with a code of the catalogue and a sentence."""

    name: str
    code: str
    detail: str


@dataclass(frozen=True)
class NearDuplicate:
    """An image that looks like another of the corpus: ``bits`` of 64 differ in their perceptual hashes."""

    name: str
    split: str
    other: str
    other_split: str
    other_origin: str
    bits: int


@dataclass
class Report:
    """What became of the files of a batch."""

    n_files: int = 0
    n_train: int = 0
    n_eval: int = 0
    n_rejected: dict[str, int] = field(default_factory=dict)
    n_near_duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    near_duplicates: list[NearDuplicate] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        lists = {
            "rejected": [Rejection(**entry) for entry in value["rejected"]],
            "near_duplicates": [NearDuplicate(**entry) for entry in value["near_duplicates"]],
        }
        return cls(**(value | lists))


def stable_split(content_hash: str) -> Split:
    """The split of an image that no folder assigns: by its content alone, so it never changes."""
    return Split.EVAL if int(content_hash[:8], 16) / 2**32 < EVAL_SHARE else Split.TRAIN


def ingest(
    batch: Batch,
    files: Iterable[SourceFile],
    *,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Report | None:
    """Take the images of ``files`` into ``batch``, in their order; its former images are replaced.

    Everything is written in one transaction at the end, so a cut-off ingest leaves nothing and is
    simply repeated; ``files`` is then read again. Rejected, with a reason each, are files that are
    broken, too large, too small or animated, and pixels that the corpus holds already, in whatever
    split. Near duplicates are reported and kept. Returns None when ``should_stop`` said so.

    Raises ``DataError('batch_empty')`` when no image is left (the batch has the report all the
    same), ``RequestError('illegal_transition')`` when the batch is sealed already, and what
    reading ``files`` raises.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _attempt(batch, files, progress, should_stop)
        except IntegrityError:
            # Another batch brought the same pixels into the corpus meanwhile; now they are known.
            continue
    raise RequestError("conflict", f"Other batches keep changing the corpus {batch.corpus.slug}.")


def _attempt(
    batch: Batch, files: Iterable[SourceFile], progress: Progress, should_stop: Callable[[], bool]
) -> Report | None:
    intake = _Intake(batch)
    n_files = length_hint(files, 0)
    target = store()
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ShardWriter(target)) for split in Split}
        results = stack.enter_context(closing(map_ordered(prepare, files, crashed=prepare_crashed)))
        for file, result in results:
            if should_stop():
                return None
            accepted = intake.take(file, result)
            if accepted is not None:
                image, png = accepted
                image.shard_row = writers[Split(image.split)].n_rows
                writers[Split(image.split)].write(image.content_hash, png)
            share = _DECODING * intake.report.n_files / n_files if n_files else 0.0
            progress(share, f"decoding images: {intake.report.n_files:,}")
        progress(_DECODING, "looking for near duplicates")
        intake.finish()
        progress(1.0, "writing")
        shards = {split: writer.finish() for split, writer in writers.items()}
    with_database(lambda: _commit(batch, intake, shards))
    if not intake.images:
        raise DataError("batch_empty", _why_empty(intake.report))
    return intake.report


class _Intake:
    """Decides on each decoded file, and collects the rows and the report."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.report = Report()
        self.images: list[Image] = []
        self._names: list[str] = []
        self._present = Image.objects.filter(corpus=batch.corpus).exclude(batch=batch)
        self._known = set(self._present.values_list("content_hash", flat=True))
        self._rejected: Counter[str] = Counter()

    def take(self, file: SourceFile, result: Prepared | Fault) -> tuple[Image, bytes] | None:
        """The row and the PNG of an accepted image; None for a file that is not taken."""
        self.report.n_files += 1
        if isinstance(result, Fault):
            self._reject(file, result.code, result.detail)
            return None
        if result.content_hash in self._known:
            self._reject(file, "image_duplicate", "The corpus holds the same pixels already.")
            return None
        self._known.add(result.content_hash)
        image = Image(
            pk=file.pk,
            corpus=self.batch.corpus,
            batch=self.batch,
            split=Split(file.split) if file.split else stable_split(result.content_hash),
            content_hash=result.content_hash,
            perceptual_hash=result.perceptual_hash,
            width=result.width,
            height=result.height,
            source_format=result.source_format,
            source_bytes=result.source_bytes,
            jpeg_quality=result.jpeg_quality,
        )
        self.images.append(image)
        self._names.append(file.name)
        return image, result.png

    def finish(self) -> None:
        """Complete the report: the counts and the near duplicates."""
        splits = Counter(image.split for image in self.images)
        self.report.n_train, self.report.n_eval = splits[Split.TRAIN], splits[Split.EVAL]
        self.report.n_rejected = dict(self._rejected)
        present = list(self._present.order_by("id").values_list("id", "perceptual_hash"))
        known = np.array([value for _, value in present], dtype=np.int64)
        new = np.array([image.perceptual_hash for image in self.images], dtype=np.int64)
        pairs = list(near_pairs(new, known))
        self.report.n_near_duplicates = len(pairs)
        listed = pairs[:MAX_LISTED]
        others = Image.objects.select_related("batch__generator").in_bulk(
            {present[other][0] for _, other, _ in listed if other < len(present)}
        )
        for index, other, bits in listed:
            image = others[present[other][0]] if other < len(present) else self.images[other - len(present)]
            self.report.near_duplicates.append(
                NearDuplicate(
                    name=self._names[index],
                    split=self.images[index].split,
                    other=image.content_hash,
                    other_split=image.split,
                    other_origin=image.batch.origin,
                    bits=bits,
                )
            )

    def _reject(self, file: SourceFile, code: str, detail: str) -> None:
        self._rejected[code] += 1
        if len(self.report.rejected) < MAX_LISTED:
            self.report.rejected.append(Rejection(file.name, code, detail))


def _commit(batch: Batch, intake: _Intake, shards: dict[Split, str]) -> None:
    """Write everything at once, unless the batch has been sealed by someone else."""
    manifest = {split: [i.content_hash for i in intake.images if i.split == split] for split in Split}
    fields = {
        "n_train": intake.report.n_train,
        "n_eval": intake.report.n_eval,
        "manifest_hash": store().put_json(manifest) if intake.images else "",
        "train_shard": shards[Split.TRAIN],
        "eval_shard": shards[Split.EVAL],
        "report": intake.report.to_json(),
    }
    with transaction.atomic():
        locked = Batch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        if locked.state not in (BatchState.UPLOADING, BatchState.CHECKING):
            raise RequestError("illegal_transition", f"The batch {batch.pk} is {locked.state} already.")
        locked.images.all().delete()
        Image.objects.bulk_create(intake.images, batch_size=_INSERT_ROWS)
        for name, value in fields.items():
            setattr(batch, name, value)
        batch.save(update_fields=list(fields))


def _why_empty(report: Report) -> str:
    reasons = ", ".join(f"{count} {code}" for code, count in sorted(report.n_rejected.items()))
    return f"Of {report.n_files} files none can be used ({reasons or 'there is none'})."
