"""Near duplicates of a new batch: within it, among what is published, and among what waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from evaluator.data.duplicates import Match, near_duplicates
from evaluator.data.progress import Progress, part
from evaluator.data.thumbnails import Gallery, Part, ThumbnailFile, ensure_thumbnails
from leaderboard.models import Batch, Split
from protocols.states import BatchState

# Share of the work that is reading the thumbnails of the corpus.
_LOADED = 0.2


class Place(StrEnum):
    """Where the other one of two near duplicates lies; ``CORPUS``: in a batch that is not published."""

    BATCH = "batch"
    PUBLISHED = "published"
    CORPUS = "corpus"


@dataclass(frozen=True)
class Near:
    """An image of the new batch, by split and row of its shard, and another one that looks like it."""

    split: Split
    row: int
    place: Place
    other_batch: Batch
    other_shard: str
    other_split: Split
    other_row: int
    similarity: float


def find_near(
    batch: Batch,
    new: Mapping[Split, tuple[str, ThumbnailFile]],
    *,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> list[Near] | None:
    """Of each new image the most similar one in each place and split, in the order of its shard.

    ``new`` holds the store keys of the batch's shards, and their thumbnails. Within the batch each
    pair is found once. None when ``should_stop`` said so.
    """
    own = {split: Gallery([Part(batch, *files)]) for split, files in new.items()}
    others = _others(batch, part(progress, 0.0, _LOADED))
    comparisons = [
        (Split.TRAIN, Split.TRAIN, own[Split.TRAIN]),
        (Split.EVAL, Split.EVAL, own[Split.EVAL]),
        (Split.EVAL, Split.TRAIN, own[Split.TRAIN]),
        *((split, other_split, others[other_split]) for split in Split for other_split in Split),
    ]
    n_pairs = max(1, sum(len(own[split]) * len(known) for split, _, known in comparisons))
    n_done = 0
    found: dict[tuple[Split, int, Place, Split], Near] = {}
    for split, other_split, known in comparisons:
        gallery = own[split]
        pieces = near_duplicates(
            gallery, gallery.descriptors, known, known.descriptors, same=known is gallery
        )
        for n_compared, matches in pieces:
            if should_stop():
                return None
            for match in matches:
                near = _near(match, split, other_split, known, batch)
                # The most similar one comes first.
                found.setdefault((split, near.row, near.place, other_split), near)
            n_done += n_compared * len(known)
            progress(_LOADED + (1 - _LOADED) * n_done / n_pairs, "looking for near duplicates")
    return sorted(found.values(), key=lambda near: (near.split, near.row))


def _others(batch: Batch, progress: Progress) -> dict[Split, Gallery]:
    """The images of the corpus's other batches."""
    batches = (
        Batch.objects.filter(corpus=batch.corpus_id)
        .exclude(pk=batch.pk)
        .exclude(manifest_hash="")
        .select_related("generator")
        .order_by("created_at", "pk")
    )
    parts: dict[Split, list[Part]] = {split: [] for split in Split}
    for number, other in enumerate(batches):
        share = part(progress, number / len(batches), (number + 1) / len(batches))
        for split in Split:
            shard = other.train_shard if split == Split.TRAIN else other.eval_shard
            if shard:
                parts[split].append(Part(other, shard, ensure_thumbnails(other, shard, share)))
    return {split: Gallery(of_split) for split, of_split in parts.items()}


def _near(match: Match, split: Split, other_split: Split, known: Gallery, batch: Batch) -> Near:
    (other, shard, _), row = known.place(match.known)
    if other.pk == batch.pk:
        place = Place.BATCH
    else:
        place = Place.PUBLISHED if other.state == BatchState.PUBLISHED else Place.CORPUS
    return Near(split, match.new, place, other, shard, other_split, row, match.similarity)
