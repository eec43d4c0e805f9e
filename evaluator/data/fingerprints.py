"""What identifies an image: its exact pixels, its looks, and the quality of the JPEG it came in."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# Two images whose perceptual hashes differ in at most this many of 64 bits are near duplicates.
# Re-encoding and moderate resizing stay within it. Of two random hashes 4·10⁻¹⁴ do, so even a
# corpus of 360,000 images (6·10¹⁰ pairs) would show hardly any by chance.
NEAR_BITS = 4

_HASH_SIDE = 32
_HASH_BLOCK = 8
_CHUNK_PAIRS = 1 << 22
_CHUNK_ROWS = 1024
_FAR = 255

# The luminance table of the JPEG standard (ITU-T T.81, Annex K.1), by rows.
_JPEG_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).ravel()


def content_hash(pixels: Pixels) -> str:
    """SHA-256 (64 hex digits) of height and width (big-endian 32 bits each) and the RGB bytes, row by row."""
    digest = hashlib.sha256(struct.pack(">II", *pixels.shape[:2]))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def perceptual_hash(pixels: Pixels) -> int:
    """A signed 64-bit hash that changes little when the image is re-encoded or resized.

    pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010):
    luma at 32×32, discrete cosine transform, one bit for each of the 8×8 lowest frequencies
    without the first row and column, set where the coefficient exceeds their median.
    """
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (_HASH_SIDE, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[1 : _HASH_BLOCK + 1, 1 : _HASH_BLOCK + 1]
    bits = np.packbits(low.ravel() > np.median(low))
    return int.from_bytes(bits.tobytes(), signed=True)


def near_pairs(
    new: NDArray[np.int64], known: NDArray[np.int64], max_bits: int = NEAR_BITS
) -> Iterator[tuple[int, int, int]]:
    """For each of the ``new`` hashes the nearest of ``known`` and of the new ones before it.

    Yields ``(index in new, index in known followed by new, differing bits)`` where at most
    ``max_bits`` bits differ; of equally near ones the first. Every pair is compared, in constant
    memory: 5,000 new against 360,000 known hashes are 1.8·10⁹ popcounts.
    """
    every = np.concatenate([known, new]).view(np.uint64)
    rows = max(1, min(_CHUNK_ROWS, _CHUNK_PAIRS // max(1, every.size)))
    for start in range(0, new.size, rows):
        chunk = new[start : start + rows].view(np.uint64)
        before = known.size + start
        distances = np.bitwise_count(chunk[:, None] ^ every[None, : before + chunk.size])
        # An image is not compared with itself nor with later ones.
        distances[:, before:][np.triu_indices(chunk.size)] = _FAR
        nearest = distances.argmin(axis=1)
        bits = distances[np.arange(chunk.size), nearest]
        for row in np.flatnonzero(bits <= max_bits):
            yield start + int(row), int(nearest[row]), int(bits[row])


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The libjpeg quality (1 to 100) whose luminance table is nearest to that of ``tables``.

    ``tables`` are quantisation tables by number, 64 values by rows. Encoders with tables of
    their own (cameras, Photoshop) get the quality of about the same strength. None without tables.
    """
    if 0 not in tables or len(tables[0]) != _JPEG_LUMINANCE.size:
        return None
    table = np.asarray(tables[0], dtype=np.int64)
    distances = np.abs(_STANDARD_TABLES - table).sum(axis=1)
    return int(distances.argmin()) + 1


def _standard_tables() -> NDArray[np.int64]:
    """libjpeg's luminance tables for qualities 1 to 100, 100×64."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return ((_JPEG_LUMINANCE[None, :] * scale[:, None] + 50) // 100).clip(1, 255)


_STANDARD_TABLES = _standard_tables()
