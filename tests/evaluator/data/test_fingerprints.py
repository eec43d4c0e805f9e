"""Perceptual hashes and the search for near duplicates."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluator.data.fingerprints import NEAR_BITS, content_hash, jpeg_quality, near_pairs, perceptual_hash
from tests.evaluator.data.images import Pixels, file_of, picture

HASHES = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=30)


def distance(a: Pixels, b: Pixels) -> int:
    return ((perceptual_hash(a) ^ perceptual_hash(b)) & (2**64 - 1)).bit_count()


def test_the_content_hash_is_pinned() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert content_hash(pixels) == "7f1884e7f1264321117cbd3313fee929cad018f1ee935db717ab44bce0904cdf"
    turned_twice = pixels[:, ::-1][:, ::-1]
    assert content_hash(turned_twice) == content_hash(pixels)


def test_re_encoding_and_resizing_stay_near() -> None:
    for seed in range(20):
        original = picture(seed, 96, 128)
        with Image.open(io.BytesIO(file_of(original, "JPEG", quality=40))) as image:
            assert distance(original, np.array(image)) <= NEAR_BITS
        smaller = Image.fromarray(original).resize((64, 48), Image.Resampling.LANCZOS)
        assert distance(original, np.array(smaller)) <= NEAR_BITS


def test_other_images_are_far() -> None:
    hashes = [perceptual_hash(picture(seed)) for seed in range(60)]
    assert not list(near_pairs(np.array(hashes), np.array([], dtype=np.int64)))


def test_hashes_fit_a_signed_column() -> None:
    hashes = [perceptual_hash(picture(seed)) for seed in range(20)]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert min(hashes) < 0 < max(hashes)


@given(new=HASHES, known=HASHES, max_bits=st.integers(0, 64))
def test_near_pairs_are_those_of_a_plain_search(new: list[int], known: list[int], max_bits: int) -> None:
    expected = []
    for index, value in enumerate(new):
        others = known + new[:index]
        bits = [((value ^ other) & (2**64 - 1)).bit_count() for other in others]
        if bits and min(bits) <= max_bits:
            expected.append((index, bits.index(min(bits)), min(bits)))
    found = near_pairs(np.array(new, dtype=np.int64), np.array(known, dtype=np.int64), max_bits)
    assert list(found) == expected


def test_the_search_goes_across_chunks() -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(-(2**63), 2**63 - 1, 5000)
    new = rng.integers(-(2**63), 2**63 - 1, 3000)
    new[2999] = known[4999] ^ 3
    new[2500] = new[10]
    assert list(near_pairs(new, known)) == [(2500, 5010, 0), (2999, 4999, 2)]


def test_no_tables_no_quality() -> None:
    assert jpeg_quality({}) is None
    assert jpeg_quality({0: [1] * 10}) is None
