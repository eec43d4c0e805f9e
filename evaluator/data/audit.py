"""The shortcut audit of a batch: can fakes be told from reals without looking at a pixel?

The batch is compared with what is published on the other side: fakes with all published reals,
reals with all published fakes, training and evaluation images of both. ``originals`` are the files
as they came in; ``participants`` is what a container will get, where training images are compared
with training images and evaluation images with evaluation images, after the benchmark's degradation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import QuerySet, Value
from django.db.models.functions import MD5, Concat
from numpy.typing import NDArray

from evaluator.data.encode import png_size
from evaluator.data.evaluation import ensure_frozen
from evaluator.data.jobs import Encoded, degraded
from evaluator.data.metadata import Original, of_encoded, of_originals
from evaluator.data.pool import map_ordered
from evaluator.data.progress import Progress, part
from evaluator.data.shards import Shard
from evaluator.data.shortcuts import MIN_CLASS, Sample, Telling, telling
from leaderboard.models import Batch, Benchmark, Degradation, Image, Split
from leaderboard.store import store
from protocols.states import BatchState

VERSION = 1
# At most so many images of a class are looked at; for `participants` of each split.
MAX_ORIGINALS = 2000
MAX_PARTICIPANTS = 1000
# Batches with more evaluation images are not frozen for an audit.
MAX_FROZEN = 2000

_SEED = "audit"
_BINS = 12
_FREEZING = 0.7
_ORIGINALS, _PARTICIPANTS = "originals", "participants"

Images = Sequence[Image]


def shortcut_audit(batch: Batch, progress: Progress) -> dict[str, Any]:
    """The audit as ``Batch.audit`` keeps it; an undefined view is None, with its reason in ``reasons``.

    ``exceeds`` goes by what participants get: the lower end of the interval is above the bound.
    What only the originals tell is shown and bars nothing, since no container sees an original.
    """
    own, others = batch.images.all(), _published(batch)
    fakes, reals = (others, own) if batch.is_real else (own, others)
    audit: dict[str, Any] = {
        "version": VERSION,
        "bound": settings.AUDIT_BOUND,
        "views": {_ORIGINALS: None, _PARTICIPANTS: None},
        "exceeds": False,
        "distributions": {},
    }
    if not others.exists():
        reason = f"No {'generator' if batch.is_real else 'real image'} to compare with is published yet."
        return audit | {"reason": reason, "reasons": dict.fromkeys(audit["views"], reason)}
    progress(0.0, "auditing shortcuts in the files as they came in")
    drawn = [_drawn(side, MAX_ORIGINALS) for side in (fakes, reals)]
    audit["distributions"] = _distributions(*drawn)
    found = {_ORIGINALS: telling([_originals(*drawn)])}
    samples = []
    for split, start, end in ((Split.TRAIN, 0.2, 0.3), (Split.EVAL, 0.3, 0.9)):
        share = part(progress, start, end)
        samples.append(_participants(batch, split, fakes, reals, share))
    progress(0.95, "auditing shortcuts in what participants get")
    found[_PARTICIPANTS] = telling(samples)
    audit["views"] = {view: _view(result) for view, result in found.items()}
    reasons = {
        view: f"There are fewer than {MIN_CLASS} fakes or reals to compare."
        for view, result in found.items()
        if result is None
    }
    if reasons:
        audit["reasons"] = reasons
    if len(reasons) == len(found):
        audit["reason"] = reasons[_ORIGINALS]
    result = found[_PARTICIPANTS]
    if result is not None and result.interval is not None:
        audit["exceeds"] = result.interval.low > settings.AUDIT_BOUND
    return audit


def _published(batch: Batch) -> QuerySet[Image]:
    """What a batch is compared with: all published images of the other class."""
    published = Batch.objects.filter(corpus=batch.corpus_id, state=BatchState.PUBLISHED)
    published = published.filter(generator__isnull=not batch.is_real, generator__withdrawn_at__isnull=True)
    return Image.objects.filter(batch__in=published)


def _drawn(images: QuerySet[Image], n: int) -> list[Image]:
    """``n`` of the images, drawn by a hash of their content: the same ones every time."""
    order = MD5(Concat(Value(_SEED), "content_hash"))
    return list(images.select_related("batch").order_by(order, "content_hash")[:n])


def _originals(fakes: Images, reals: Images) -> Sample:
    images = [*fakes, *reals]
    formats = sorted({image.source_format for image in images})
    files = [
        Original(image.width, image.height, image.source_bytes, image.source_format, image.jpeg_quality)
        for image in images
    ]
    return Sample(_labels(fakes, reals), of_originals(files, formats))


def _participants(
    batch: Batch, split: Split, fakes: QuerySet[Image], reals: QuerySet[Image], progress: Progress
) -> Sample:
    """Training images as they are stored, evaluation images degraded."""
    drawn = [_drawn(side.filter(split=split), MAX_PARTICIPANTS) for side in (fakes, reals)]
    images = [*drawn[0], *drawn[1]]
    labels = _labels(*drawn)
    if min(len(side) for side in drawn) < MIN_CLASS:
        return Sample(labels, {})
    facts = list(_degraded(images, _degradation(batch), progress) if split == Split.EVAL else _stored(images))
    return Sample(labels, of_encoded(facts))


def _stored(images: Images) -> Iterator[Encoded]:
    shards = _shards(images)
    for image in images:
        size_bytes = shards[_shard_key(image)].size_bytes(image.shard_row)
        yield Encoded(image.width, image.height, size_bytes)


def _degraded(images: Images, version: str, progress: Progress) -> Iterator[Encoded]:
    """What containers get of evaluation images.

    Batches of moderate size are frozen for good, since the first prediction needs that anyway and
    the next audit too; of larger ones the images in question are degraded for the occasion.
    """
    batches = {image.batch.pk: image.batch for image in images}
    small = [batch for batch in batches.values() if batch.n_eval <= MAX_FROZEN]
    frozen = {}
    for n, batch in enumerate(small):
        share = part(progress, _FREEZING * n / len(small), _FREEZING * (n + 1) / len(small))
        frozen[batch.pk] = Shard(store(), ensure_frozen(batch, version, share))
    loose = [image for image in images if image.batch.pk not in frozen]
    shards = _shards(loose)
    pngs = ((shards[_shard_key(image)].png(image.shard_row), image.content_hash, version) for image in loose)
    facts: dict[int, Encoded] = {}
    with closing(map_ordered(degraded, pngs)) as results:
        for n, (image, (_, found)) in enumerate(zip(loose, results, strict=True), start=1):
            progress(_FREEZING + (1 - _FREEZING) * n / len(loose), "auditing shortcuts: degrading images")
            facts[image.pk] = found
    for image in images:
        if image.batch.pk in frozen:
            png = frozen[image.batch.pk].png(image.shard_row)
            yield Encoded(*png_size(png), len(png))
        else:
            yield facts[image.pk]


def _degradation(batch: Batch) -> str:
    """That of the corpus's oldest benchmark; without a benchmark the present one."""
    versions = Benchmark.objects.filter(corpus=batch.corpus_id).order_by("pk")
    # A plain string: the processes that degrade know nothing of Django's enumerations.
    return versions.values_list("degradation", flat=True).first() or Degradation.V2.value


def _shards(images: Images) -> dict[str, Shard]:
    return {key: Shard(store(), key) for key in {_shard_key(image) for image in images}}


def _shard_key(image: Image) -> str:
    return image.batch.train_shard if image.split == Split.TRAIN else image.batch.eval_shard


def _labels(fakes: Images, reals: Images) -> NDArray[np.int64]:
    return np.repeat(np.array([1, 0], dtype=np.int64), [len(fakes), len(reals)])


def _view(result: Telling | None) -> dict[str, Any] | None:
    if result is None:
        return None
    importance = sorted(result.importance.items(), key=lambda item: -item[1])
    return {
        "auroc": round(result.auroc, 4),
        "low": round(result.interval.low, 4) if result.interval else None,
        "high": round(result.interval.high, 4) if result.interval else None,
        "n_fakes": result.n_fakes,
        "n_reals": result.n_reals,
        "features": {name: round(value, 4) for name, value in importance},
    }


def _distributions(fakes: Images, reals: Images) -> dict[str, Any]:
    """How the facts of the originals are spread, for the plots: a value of no file is ``null``."""
    return {
        "format": _counts(*([image.source_format for image in side] for side in (fakes, reals))),
        "jpeg_quality": _counts(
            *(
                ["null" if image.jpeg_quality is None else str(image.jpeg_quality) for image in side]
                for side in (fakes, reals)
            )
        ),
        "width": _histogram(*([image.width for image in side] for side in (fakes, reals))),
        "height": _histogram(*([image.height for image in side] for side in (fakes, reals))),
        "bytes": _histogram(*([image.source_bytes for image in side] for side in (fakes, reals))),
    }


def _counts(fakes: Sequence[str], reals: Sequence[str]) -> dict[str, Any]:
    return {"fakes": dict(Counter(fakes)), "reals": dict(Counter(reals))}


def _histogram(fakes: Sequence[int], reals: Sequence[int]) -> dict[str, Any]:
    """Bins of equal ratio: sizes spread over orders of magnitude. The edges are whole numbers."""
    low, high = min(*fakes, *reals), max(*fakes, *reals)
    edges = np.unique(np.geomspace(low, high + 1, _BINS + 1).round().astype(np.int64))
    return {
        "edges": edges.tolist(),
        "fakes": np.histogram(fakes, edges)[0].tolist(),
        "reals": np.histogram(reals, edges)[0].tolist(),
    }
