"""The search for near duplicates: candidates by a coarse descriptor, then a look at each.

The descriptor of a picture is the low frequencies of its thumbnail, as a vector of length 1. A crop
by 5 % turns it only a little, so versions of one picture lie among each other's nearest neighbours,
whichever of them is the crop. All pairs are compared by matrix products, which is exact and needs
no index to keep: 5,000 new against 360,000 known pictures are 10¹¹ operations, a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evaluator.data.alignment import NEAR, Floats, similarity
from evaluator.data.fingerprints import THUMBNAIL_SIDE, Pixels

Rows = NDArray[np.int64]

# Of 5 % crops 99 % have descriptors with at least this scalar product; of two pictures one in
# some thousands. Of the candidates of a picture the nearest ones are looked at.
_NEAR_DESCRIPTOR = 0.8
_MAX_CANDIDATES = 16

_FREQUENCIES = 6
# Blocks of this size stay in a processor's cache.
_BLOCK_NEW = 1024
_BLOCK_KNOWN = 256
_MAX_HITS = 1 << 18
_DESCRIBED = 1 << 14


class Match(NamedTuple):
    """The rows of a new picture and of a known one, and how much their details correlate."""

    new: int
    known: int
    similarity: float


class Thumbnails(Protocol):
    """Thumbnails in memory or on disk, by row."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Rows, /) -> Pixels: ...


def descriptors(thumbnails: Thumbnails) -> Floats:
    """Vectors [n, 32] of length 1: low frequencies without the mean, higher ones weighted a little more."""
    basis = _basis()
    result = np.empty((len(thumbnails), basis.shape[1]), dtype=np.float32)
    for start in range(0, len(result), _DESCRIBED):
        some = thumbnails[start : start + _DESCRIBED].reshape(-1, THUMBNAIL_SIDE**2).astype(np.float32)
        vectors = some @ basis
        # The floor keeps a blank picture from being divided by nothing; it is near to none.
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1.0)
        result[start : start + _DESCRIBED] = vectors / lengths
    return result


def near_duplicates(
    new: Thumbnails, new_vectors: Floats, known: Thumbnails, known_vectors: Floats, *, same: bool = False
) -> Iterator[tuple[int, list[Match]]]:
    """The near duplicates among ``known`` of each of the ``new`` pictures, most similar first.

    Comes in pieces, each with the number of the new ones that it covers, so that a caller can tell
    how far it is and stop. With ``same`` the two are one list, and a picture is compared with those
    before it. A picture that has very many look-alikes is compared with the 16 most likely ones.
    """
    for start in range(0, len(new_vectors), _BLOCK_NEW):
        vectors = new_vectors[start : start + _BLOCK_NEW]
        end = start + len(vectors) if same else len(known_vectors)
        rows, others = _candidates(vectors, known_vectors[:end], start if same else None)
        values = similarity(new[start + rows], known[others]) if rows.size else np.empty(0, np.float32)
        near = np.flatnonzero(values >= NEAR)
        order = near[np.lexsort((others[near], -values[near], rows[near]))]
        yield (
            len(vectors),
            [Match(start + int(rows[n]), int(others[n]), float(values[n])) for n in order],
        )


def _candidates(vectors: Floats, known: Floats, first: int | None) -> tuple[Rows, Rows]:
    """Pairs (row of ``vectors``, row of ``known``); ``first`` is the row of ``known`` that is row 0 too."""
    # The blocks are too small for several threads, which then wait for each other.
    with threadpool_limits(1):
        return _nearest(vectors, known, first)


def _nearest(vectors: Floats, known: Floats, first: int | None) -> tuple[Rows, Rows]:
    bounds = np.full(len(vectors), _NEAR_DESCRIPTOR, dtype=np.float32)
    found: list[tuple[Rows, Rows, Floats]] = []
    n_found = 0
    for start in range(0, len(known), _BLOCK_KNOWN):
        products = vectors @ known[start : start + _BLOCK_KNOWN].T
        hits = products >= bounds[:, None]
        if not hits.any():
            continue
        rows, others = np.nonzero(hits)
        if first is not None:
            earlier = others + start < rows + first
            rows, others = rows[earlier], others[earlier]
        found.append((rows, others + start, products[rows, others]))
        n_found += rows.size
        if n_found > _MAX_HITS:
            # Only the best are kept, and what is not better than them is not noted any more.
            found = [_best(found)]
            n_found = found[0][0].size
            full, counts = np.unique(found[0][0], return_counts=True)
            for row in full[counts == _MAX_CANDIDATES]:
                bounds[row] = found[0][2][found[0][0] == row].min()
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, others, _ = _best(found)
    return rows, others


def _best(found: list[tuple[Rows, Rows, Floats]]) -> tuple[Rows, Rows, Floats]:
    """The nearest ``_MAX_CANDIDATES`` of each row; of equally near ones the first."""
    rows, others, products = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((others, -products, rows))
    rows, others, products = rows[order], others[order], products[order]
    rank = np.arange(rows.size) - np.searchsorted(rows, rows)
    kept = rank < _MAX_CANDIDATES
    return rows[kept], others[kept], products[kept]


@lru_cache
def _basis() -> Floats:
    """The cosines [1024, 32] of the frequencies up to 6 half periods, without the mean."""
    places = (2 * np.arange(THUMBNAIL_SIDE) + 1) / (2 * THUMBNAIL_SIDE)
    orders = np.arange(_FREQUENCIES)
    cosines = np.cos(np.pi * orders[:, None] * places) * np.where(orders == 0, 0.5**0.5, 1.0)[:, None]
    vertical, horizontal = np.meshgrid(orders, orders, indexing="ij")
    radius = np.hypot(vertical, horizontal)
    waves = [
        np.outer(cosines[v], cosines[h]).ravel() * radius[v, h] ** 0.5 * 2 / THUMBNAIL_SIDE
        for v, h in zip(vertical.ravel(), horizontal.ravel(), strict=True)
        if 0 < radius[v, h] <= _FREQUENCIES
    ]
    return np.stack(waves, axis=1).astype(np.float32)
