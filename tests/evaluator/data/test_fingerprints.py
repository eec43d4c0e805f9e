"""What identifies an image."""

from __future__ import annotations

import numpy as np

from evaluator.data.fingerprints import content_hash, jpeg_quality, thumbnail


def test_the_content_hash_is_pinned() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert content_hash(pixels) == "7f1884e7f1264321117cbd3313fee929cad018f1ee935db717ab44bce0904cdf"
    turned_twice = pixels[:, ::-1][:, ::-1]
    assert content_hash(turned_twice) == content_hash(pixels)


def test_the_thumbnail_is_the_mean_luma_of_each_area() -> None:
    pixels = np.zeros((64, 96, 3), dtype=np.uint8)
    pixels[:2, :3] = 255
    pixels[2:4, :3, 1] = 100
    small = thumbnail(pixels)
    assert (small.shape, small.dtype) == ((32, 32), np.uint8)
    assert (small[0, 0], small[1, 0], small[0, 1]) == (255, 59, 0)


def test_no_tables_no_quality() -> None:
    assert jpeg_quality({}) is None
    assert jpeg_quality({0: [1] * 10}) is None
