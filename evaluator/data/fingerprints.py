"""What identifies an image: its exact pixels, a thumbnail, and the quality of the JPEG it came in."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# A thumbnail holds what two versions of one picture have in common, whatever their size and codec,
# and enough detail to tell a picture from another of the same composition.
THUMBNAIL_SIDE = 32

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


def thumbnail(pixels: Pixels) -> Pixels:
    """The luma at 32×32 pixels (uint8), each the mean of its area, whatever the image's aspect."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


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
