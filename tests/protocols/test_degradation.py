"""The mandatory degradation: published shares, reproducible draws, and pixels that stay in range."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import multiprocessing
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from protocols import degradation
from protocols.degradation import (
    VERSIONS,
    CentreCrop,
    Codec,
    GaussianNoise,
    Grayscale,
    Interpolation,
    Jpeg,
    Recipe,
    ResizedCrop,
    apply,
    crop_window,
    degrade,
    draw,
)

DRAWS = 12_000

# The fixed order of aigenbench's seven operations, as positions that a recipe must ascend.
SLOTS = (CentreCrop, Grayscale, Jpeg, GaussianNoise, Jpeg, ResizedCrop, Jpeg)


def content_hash(index: int) -> str:
    return hashlib.sha256(index.to_bytes(4)).hexdigest()


@functools.cache
def drawn(version: str) -> tuple[Recipe, ...]:
    return tuple(draw(content_hash(index), version) for index in range(DRAWS))


def operations(version: str, kind: type) -> list:
    return [o for recipe in drawn(version) for o in recipe.operations if isinstance(o, kind)]


def assert_share(count: int, of: int, share: float) -> None:
    """``count`` of ``of`` lies within four binomial standard deviations of ``share``."""
    tolerance = 4 * math.sqrt(share * (1 - share) / of)
    assert abs(count / of - share) < tolerance, (count / of, share, tolerance)


def gradient(height: int, width: int) -> np.ndarray:
    """Every pixel's red and green tell its column and row (modulo 256)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns % 256, rows % 256, (rows // 256) * 16 + columns // 256], axis=2).astype(np.uint8)


@pytest.mark.parametrize("version", VERSIONS)
class TestShares:
    @pytest.mark.parametrize(("n_jpeg", "share"), [(0, 0.355), (1, 0.496), (2, 0.139), (3, 0.010)])
    def test_number_of_jpegs(self, version, n_jpeg, share):
        counts = Counter(sum(isinstance(o, Jpeg) for o in recipe.operations) for recipe in drawn(version))
        # The published shares are themselves measured over 12,000 draws of the official code.
        tolerance = 4 * math.sqrt(2 * share * (1 - share) / DRAWS)
        assert abs(counts[n_jpeg] / DRAWS - share) < tolerance

    @pytest.mark.parametrize(
        ("kind", "share"), [(CentreCrop, 1.0), (Grayscale, 0.1), (GaussianNoise, 0.3), (ResizedCrop, 0.25)]
    )
    def test_operation(self, version, kind, share):
        count = len(operations(version, kind))
        if share == 1.0:
            assert count == DRAWS
        else:
            assert_share(count, DRAWS, share)

    def test_each_jpeg_slot(self, version):
        """The slots are told apart by what surrounds them: before noise, and after the crop."""
        with_noise_and_crop = [
            [type(o) for o in recipe.operations]
            for recipe in drawn(version)
            if {GaussianNoise, ResizedCrop} <= {type(o) for o in recipe.operations}
        ]
        before = sum(Jpeg in kinds[: kinds.index(GaussianNoise)] for kinds in with_noise_and_crop)
        between = sum(
            Jpeg in kinds[kinds.index(GaussianNoise) : kinds.index(ResizedCrop)]
            for kinds in with_noise_and_crop
        )
        after = sum(kinds[-1] is Jpeg for kinds in with_noise_and_crop)
        for count, share in ((before, 0.5), (between, 0.2), (after, 0.1)):
            assert_share(count, len(with_noise_and_crop), share)

    def test_codecs_are_equally_likely(self, version):
        jpegs = operations(version, Jpeg)
        assert_share(sum(jpeg.codec is Codec.PILLOW for jpeg in jpegs), len(jpegs), 0.5)

    def test_interpolations_are_equally_likely(self, version):
        crops = operations(version, ResizedCrop)
        for interpolation in Interpolation:
            assert_share(sum(c.interpolation is interpolation for c in crops), len(crops), 1 / 3)

    def test_ranges_are_reached_and_kept(self, version):
        sides = [crop.side for crop in operations(version, ResizedCrop)]
        assert (min(sides), max(sides)) == (256, 512)
        stds = [noise.std for noise in operations(version, GaussianNoise)]
        assert 0.015 <= min(stds) < 0.0155
        assert 0.0745 < max(stds) < 0.075

    def test_order(self, version):
        for recipe in drawn(version):
            slots = iter(SLOTS)
            assert all(any(isinstance(o, slot) for slot in slots) for o in recipe.operations), recipe

    def test_noise_and_crop_seeds_do_not_repeat(self, version):
        seeds = [o.seed for o in operations(version, GaussianNoise) + operations(version, ResizedCrop)]
        assert len(set(seeds)) == len(seeds)


class TestQuality:
    def test_v1_compat_is_50_or_100(self):
        qualities = Counter(jpeg.quality for jpeg in operations("v1-compat", Jpeg))
        assert set(qualities) == {50, 100}
        assert_share(qualities[50], qualities.total(), 0.5)

    def test_v2_is_uniform_from_50_to_100(self):
        qualities = Counter(jpeg.quality for jpeg in operations("v2", Jpeg))
        assert set(qualities) == set(range(50, 101))
        for quality in qualities:
            assert_share(qualities[quality], qualities.total(), 1 / 51)

    def test_a_higher_quality_is_closer_to_the_original(self):
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for codec in Codec:
            errors = [
                np.abs(apply(pixels, Recipe("v2", (Jpeg(codec, q),))).astype(int) - pixels).mean()
                for q in (50, 75, 100)
            ]
            assert errors[0] > errors[1] > errors[2] > 0

    def test_both_codecs_keep_the_channel_order(self):
        red = np.zeros((16, 16, 3), dtype=np.uint8)
        red[..., 0] = 200
        for codec in Codec:
            means = apply(red, Recipe("v2", (Jpeg(codec, 90),))).mean(axis=(0, 1))
            assert means[0] > 190
            assert means[1:].max() < 10


class TestDeterminism:
    def test_frozen_recipes(self):
        """A change here changes every evaluation image: it needs a new protocol version."""
        assert draw("0003d4", "v1-compat") == Recipe(
            "v1-compat",
            (
                CentreCrop(1080),
                Grayscale(),
                Jpeg(Codec.PILLOW, 50),
                GaussianNoise(0.025779530060483037, 7244463585373922340),
                ResizedCrop(335, Interpolation.BICUBIC, 1209785761435013131),
                Jpeg(Codec.OPENCV, 50),
            ),
        )
        assert draw("0001c2", "v2") == Recipe(
            "v2",
            (
                CentreCrop(1080),
                Grayscale(),
                Jpeg(Codec.PILLOW, 78),
                GaussianNoise(0.0348417563509238, 8211917031561795167),
                Jpeg(Codec.OPENCV, 50),
                ResizedCrop(437, Interpolation.BICUBIC, 8512485634610964814),
            ),
        )

    def test_frozen_noise(self):
        grey = np.full((8, 8, 3), 128, dtype=np.uint8)
        noisy = apply(grey, Recipe("v2", (GaussianNoise(std=0.05, seed=7),)))
        assert hashlib.sha256(noisy.tobytes()).hexdigest() == (
            "296cd2d08dc8c3ed8d3fc3cfa7b6e7c5f4ed29d195b33e285caec7da14a7fc5a"
        )

    def test_frozen_crop_window(self):
        assert crop_window(480, 640, seed=7) == (1, 93, 479, 521)

    def test_versions_differ_for_the_same_image(self):
        pairs = zip(drawn("v1-compat")[:1000], drawn("v2")[:1000], strict=True)
        assert sum(one.operations != two.operations for one, two in pairs) > 700

    def test_upper_case_hash_is_the_same_hash(self):
        assert draw("AB12", "v2") == draw("ab12", "v2")

    def test_same_pixels_in_other_processes_and_orders(self):
        jobs = [(version, index) for version in VERSIONS for index in range(40)]
        expected = dict(map(fingerprint, jobs))
        shuffled = random.Random(5).sample(jobs, len(jobs))
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            assert dict(pool.imap_unordered(fingerprint, shuffled, chunksize=3)) == expected
        assert len(set(expected.values())) > len(jobs) / 2

    def test_opencv_runs_on_one_thread(self):
        assert degradation.cv2.getNumThreads() == 1


def fingerprint(job: tuple[str, int]) -> tuple[tuple[str, int], str]:
    version, index = job
    pixels = np.random.default_rng(index).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    degraded = degrade(pixels, content_hash(index), version)
    return job, hashlib.sha256(degraded.tobytes()).hexdigest()


class TestPixels:
    @pytest.mark.parametrize(
        ("height", "width", "top", "left"),
        [
            (1080, 1080, 0, 0),
            (1081, 1080, 0, 0),
            (1082, 1083, 1, 1),
            (1500, 2000, 210, 460),
            (300, 2001, 0, 460),
        ],
    )
    def test_centre_crop_offsets(self, height, width, top, left):
        pixels = gradient(height, width)
        cropped = apply(pixels, Recipe("v2", (CentreCrop(),)))
        assert cropped.shape == (min(height, 1080), min(width, 1080), 3)
        assert (cropped[0, 0] == pixels[top, left]).all()
        assert (cropped[-1, -1] == pixels[top + cropped.shape[0] - 1, left + cropped.shape[1] - 1]).all()

    def test_grayscale_is_luma(self):
        colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 30]]], dtype=np.uint8)
        grey = apply(colours, Recipe("v2", (Grayscale(),)))
        assert (grey[..., 0] == grey[..., 1]).all()
        assert (grey[..., 0] == grey[..., 2]).all()
        assert np.abs(grey[0, :, 0] - colours[0] @ [0.299, 0.587, 0.114]).max() <= 1

    @pytest.mark.parametrize("interpolation", [Interpolation.BICUBIC, Interpolation.LANCZOS])
    def test_overshoot_is_clamped_and_does_not_wrap(self, interpolation):
        """Bicubic and Lanczos overshoot at an edge; a wrapped value would jump to the other end."""
        edge = np.zeros((64, 64, 3), dtype=np.uint8)
        edge[:, 32:] = 255
        row = apply(edge, Recipe("v2", (ResizedCrop(512, interpolation, seed=1),)))[256, :, 0].astype(int)
        middle = int(np.searchsorted(row[200:312] > 127, True)) + 200
        assert row[: middle - 12].max() < 64
        assert row[middle + 12 :].min() > 192
        assert {0, 255} <= set(row.tolist())

    @pytest.mark.parametrize("level", [0, 255])
    def test_noise_is_clamped_and_does_not_wrap(self, level):
        flat = np.full((50, 50, 3), level, dtype=np.uint8)
        noisy = apply(flat, Recipe("v2", (GaussianNoise(std=0.075, seed=3),))).astype(int)
        assert np.abs(noisy - level).max() < 255 * 0.075 * 6
        assert 0.4 < (noisy == level).mean() < 0.6

    def test_noise_has_the_stated_standard_deviation_and_no_offset(self):
        grey = np.full((200, 200, 3), 128, dtype=np.uint8)
        noise = apply(grey, Recipe("v2", (GaussianNoise(std=0.05, seed=3),))).astype(float) - 128
        assert noise.std() == pytest.approx(255 * 0.05, rel=0.02)
        assert abs(noise.mean()) < 0.2
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03

    def test_a_crop_enlarges_a_small_image(self):
        crop = ResizedCrop(300, Interpolation.BILINEAR, seed=1)
        assert apply(gradient(40, 50), Recipe("v2", (crop,))).shape == (300, 300, 3)

    @pytest.mark.parametrize("interpolation", list(Interpolation))
    def test_the_crop_shows_its_window(self, interpolation):
        crop = ResizedCrop(256, interpolation, seed=9)
        top, left, height, width = crop_window(180, 240, crop.seed)
        shown = apply(gradient(180, 240), Recipe("v2", (crop,))).astype(int)
        assert shown[128, [0, -1], 0] == pytest.approx([left, left + width - 1], abs=1)
        assert shown[[0, -1], 128, 1] == pytest.approx([top, top + height - 1], abs=1)

    def test_crop_windows_follow_the_published_ranges(self):
        windows = [crop_window(400, 400, seed) for seed in range(3000)]
        areas = np.array([h * w for _, _, h, w in windows]) / 400**2
        aspects = np.array([w / h for _, _, h, w in windows])
        assert 0.495 < areas.min() < 0.51
        assert areas.max() > 0.98
        assert 0.895 < aspects.min() < 0.91
        assert 1.10 < aspects.max() < 1.117
        tops = {top for top, *_ in windows}
        assert min(tops) == 0
        assert any(top + h == 400 for top, _, h, _ in windows)

    def test_a_long_image_gets_the_largest_central_window(self):
        assert crop_window(100, 1000, seed=1) == (0, (1000 - 111) // 2, 100, 111)
        assert crop_window(1000, 100, seed=1) == ((1000 - 111) // 2, 0, 111, 100)

    @given(
        pixels=npst.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
        hash_bytes=st.binary(min_size=1, max_size=32),
        version=st.sampled_from(VERSIONS),
    )
    @settings(max_examples=150, deadline=None)
    def test_shape_dtype_and_input_untouched(self, pixels, hash_bytes, version):
        before = pixels.copy()
        recipe = draw(hash_bytes.hex(), version)
        result = apply(pixels, recipe)
        sides = [o.side for o in recipe.operations if isinstance(o, ResizedCrop)]
        assert result.dtype == np.uint8
        assert result.shape == ((sides[0], sides[0], 3) if sides else pixels.shape)
        assert result.flags.c_contiguous
        assert not np.shares_memory(result, pixels)
        assert (pixels == before).all()

    @given(height=st.integers(1, 3000), width=st.integers(1, 3000), seed=st.integers(0, 2**63 - 1))
    def test_crop_window_lies_inside(self, height, width, seed):
        top, left, window_height, window_width = crop_window(height, width, seed)
        assert window_height >= 1
        assert window_width >= 1
        assert 0 <= top <= height - window_height
        assert 0 <= left <= width - window_width


class TestRefusals:
    def test_unknown_version(self):
        with pytest.raises(ValueError, match="'v3' is unknown; known: v1-compat, v2"):
            draw("00", "v3")

    @pytest.mark.parametrize("bad", ["", "xyz", "abc"])
    def test_bad_hash(self, bad):
        with pytest.raises(ValueError, match="hexadecimal"):
            draw(bad, "v2")

    @pytest.mark.parametrize(
        "pixels",
        [
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4, 3), np.uint8),
        ],
    )
    def test_bad_pixels(self, pixels):
        with pytest.raises(ValueError, match="expected H×W×3 uint8"):
            degrade(pixels, "00", "v2")


def test_every_operation_is_reached_by_degrade():
    """The property tests above would be hollow if the sampled recipes left an operation out."""
    kinds = set(itertools.chain.from_iterable(map(type, r.operations) for r in drawn("v2")[:100]))
    assert kinds == set(SLOTS)
