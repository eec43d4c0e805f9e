"""Taking in the images of a batch: decoded, deduplicated, split and written to shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from operator import length_hint
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from evaluator.data.jobs import Fault, Prepared, prepare, prepare_crashed
from evaluator.data.near import Near, Place, find_near
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress, part
from evaluator.data.shards import Shard, ShardWriter
from evaluator.data.sources import SourceFile
from evaluator.data.thumbnails import ThumbnailFile, ThumbnailWriter, keep_thumbnails
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
# Shares of the whole at which decoding and the search for near duplicates are done.
_DECODING = 0.85
_SEARCHED = 0.99


@dataclass(frozen=True)
class Rejection:
    """A file that was not taken, with a code of the catalogue and a sentence."""

    name: str
    code: str
    detail: str


@dataclass(frozen=True)
class NearDuplicate:
    """An image that is a version of another one; ``similarity`` (to 1) of their details.

    ``other`` is the content hash of the other one, ``other_name`` its file where it is of the batch.
    Where the splits differ, a detector trains on what it is evaluated on.
    """

    name: str
    split: str
    place: str
    other: str
    other_name: str
    other_split: str
    other_origin: str
    similarity: float


@dataclass
class Report:
    """What became of the files of a batch.

    ``n_near_duplicates`` counts the images that have any, ``n_near`` those that have one in each
    place (``Place``) and ``across``: in the other split, wherever. The list has the most similar
    one of each image, place and split, across the splits first.
    """

    n_files: int = 0
    n_train: int = 0
    n_eval: int = 0
    n_rejected: dict[str, int] = field(default_factory=dict)
    n_near_duplicates: int = 0
    n_near: dict[str, int] = field(default_factory=dict)
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
        shards = {split: stack.enter_context(ShardWriter(target)) for split in Split}
        thumbnails = {split: stack.enter_context(ThumbnailWriter(target)) for split in Split}
        results = stack.enter_context(closing(map_ordered(prepare, files, crashed=prepare_crashed)))
        for file, result in results:
            if should_stop():
                return None
            image = intake.take(file, result)
            if image is not None and isinstance(result, Prepared):
                split = Split(image.split)
                image.shard_row = shards[split].n_rows
                shards[split].write(image.content_hash, result.png)
                thumbnails[split].write(result.thumbnail)
            share = _DECODING * intake.report.n_files / n_files if n_files else 0.0
            progress(share, f"decoding images: {intake.report.n_files:,}")
        written = {split: _Written(shards[split].finish(), thumbnails[split].finish()) for split in Split}
    found = find_near(
        batch,
        {split: (keys.shard, ThumbnailFile(target, keys.thumbnails)) for split, keys in written.items()},
        progress=part(progress, _DECODING, _SEARCHED),
        should_stop=should_stop,
    )
    if found is None:
        return None
    intake.finish(found)
    progress(1.0, "writing")
    with_database(lambda: _commit(batch, intake, written))
    if not intake.images:
        raise DataError("batch_empty", _why_empty(intake.report))
    return intake.report


class _Written(NamedTuple):
    """The store keys of a split's shard and of its thumbnails."""

    shard: str
    thumbnails: str


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

    def take(self, file: SourceFile, result: Prepared | Fault) -> Image | None:
        """The row of an accepted image; None for a file that is not taken."""
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
            width=result.width,
            height=result.height,
            source_format=result.source_format,
            source_bytes=result.source_bytes,
            jpeg_quality=result.jpeg_quality,
        )
        self.images.append(image)
        self._names.append(file.name)
        return image

    def finish(self, found: Sequence[Near]) -> None:
        """Complete the report: the counts and the near duplicates."""
        splits = Counter(image.split for image in self.images)
        self.report.n_train, self.report.n_eval = splits[Split.TRAIN], splits[Split.EVAL]
        self.report.n_rejected = dict(self._rejected)
        of: dict[str, set[tuple[Split, int]]] = {place: set() for place in Place} | {"across": set()}
        for near in found:
            of[near.place].add((near.split, near.row))
            if near.split != near.other_split:
                of["across"].add((near.split, near.row))
        self.report.n_near = {place: len(images) for place, images in of.items()}
        self.report.n_near_duplicates = len(set().union(*of.values()))
        listed = sorted(found, key=lambda near: near.split == near.other_split)[:MAX_LISTED]
        numbers = {(i.split, i.shard_row): n for n, i in enumerate(self.images)}
        shards = {key: Shard(store(), key) for key in {near.other_shard for near in listed}}
        for near in listed:
            inside = near.place == Place.BATCH
            self.report.near_duplicates.append(
                NearDuplicate(
                    name=self._names[numbers[near.split, near.row]],
                    split=near.split,
                    place=near.place,
                    other=shards[near.other_shard].content_hash(near.other_row),
                    other_name=self._names[numbers[near.other_split, near.other_row]] if inside else "",
                    other_split=near.other_split,
                    other_origin=near.other_batch.origin,
                    similarity=round(near.similarity, 3),
                )
            )

    def _reject(self, file: SourceFile, code: str, detail: str) -> None:
        self._rejected[code] += 1
        if len(self.report.rejected) < MAX_LISTED:
            self.report.rejected.append(Rejection(file.name, code, detail))


def _commit(batch: Batch, intake: _Intake, written: Mapping[Split, _Written]) -> None:
    """Write everything at once, unless the batch has been sealed by someone else."""
    manifest = {split: [i.content_hash for i in intake.images if i.split == split] for split in Split}
    fields = {
        "n_train": intake.report.n_train,
        "n_eval": intake.report.n_eval,
        "manifest_hash": store().put_json(manifest) if intake.images else "",
        "train_shard": written[Split.TRAIN].shard,
        "eval_shard": written[Split.EVAL].shard,
        "report": intake.report.to_json(),
    }
    with transaction.atomic():
        locked = Batch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        if locked.state not in (BatchState.UPLOADING, BatchState.CHECKING):
            raise RequestError("illegal_transition", f"The batch {batch.pk} is {locked.state} already.")
        locked.images.all().delete()
        Image.objects.bulk_create(intake.images, batch_size=_INSERT_ROWS)
        for files in written.values():
            if files.shard:
                keep_thumbnails(files.shard, files.thumbnails)
        for name, value in fields.items():
            setattr(batch, name, value)
        batch.save(update_fields=list(fields))


def _why_empty(report: Report) -> str:
    reasons = ", ".join(f"{count} {code}" for code, count in sorted(report.n_rejected.items()))
    return f"Of {report.n_files} files none can be used ({reasons or 'there is none'})."
