"""Every family leaves the trace of its documented mechanism, and photographs don't have it."""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import fft

from local.corpus.generators import FAMILIES, Family
from tests.local.corpus.photographs import COUNT, SIDE, amplitude, band, luma, photographs

BY_SLUG = {family.slug: family for family in FAMILIES}
NYQUIST = SIDE // 2
REAL = "photographs"


@functools.cache
def images(slug: str) -> np.ndarray:
    if slug == REAL:
        return photographs()
    return np.array(
        [
            BY_SLUG[slug].trace(photograph, np.random.default_rng(i))
            for i, photograph in enumerate(photographs())
        ]
    )


def peak(slug: str, row: int, column: int) -> float:
    """Median amplitude of one coefficient against the median of those around it."""
    spectra = np.roll(amplitude(images(slug)), (6 - row, 6 - column), (1, 2))
    around = np.median(spectra[:, :13, :13], axis=(1, 2))
    return float(np.median(spectra[:, 6, 6] / around))


def step_ratio(slug: str, period: int) -> float:
    """Mean step across the borders of a grid with this period against the mean step inside."""
    steps = np.abs(np.diff(luma(images(slug)), axis=2))
    at_border = np.arange(1, SIDE) % period == 0
    return float(
        np.median(steps[:, :, at_border].mean(axis=(1, 2)) / steps[:, :, ~at_border].mean(axis=(1, 2)))
    )


def band_ratio(slug: str, low: float, high: float) -> float:
    """Median amplitude of a frequency band (cycles per pixel) against that of the photographs."""
    return float(np.median(band(images(slug), low, high) / band(images(REAL), low, high)))


def test_transposed_convolution_makes_a_checkerboard():
    assert peak("sim-checkerboard", NYQUIST, NYQUIST) > 8 > 3 > peak(REAL, NYQUIST, NYQUIST)


def test_nearest_repeats_pixels():
    assert step_ratio("sim-nearest", 2) > 3
    assert 0.9 < step_ratio(REAL, 2) < 1.1


@pytest.mark.parametrize(("row", "column"), [(0, NYQUIST), (NYQUIST, 0)])
def test_zero_insertion_leaves_the_replica_of_the_mean_at_nyquist(row, column):
    assert peak("sim-zero-insertion", row, column) > 8 > 3 > peak(REAL, row, column)


def test_sub_pixel_shuffle_has_four_unequal_phases():
    """The four phases' means differ by more than the content of a photograph makes them."""
    spreads = {}
    for slug in ("sim-sub-pixel", REAL):
        grey = luma(images(slug))
        phases = [
            grey[:, row::2, column::2].mean(axis=(1, 2)) for row, column in itertools.product((0, 1), (0, 1))
        ]
        spreads[slug] = float(np.median(np.std(phases, axis=0)))
    assert spreads["sim-sub-pixel"] > 5 * spreads[REAL]


def test_bilinear_lacks_detail_and_has_two_phases():
    assert band_ratio("sim-bilinear", 0.3, 0.36) < 0.5
    assert step_ratio("sim-bilinear", 2) > 1.1


def test_normalised_colour_avoids_extremes_and_pure_colours():
    fake, real = images("sim-colour"), images(REAL)
    assert ((fake < 0.05) | (fake > 0.95)).mean() < ((real < 0.05) | (real > 0.95)).mean() / 10
    assert np.ptp(fake, axis=3).mean() < 0.75 * np.ptp(real, axis=3).mean()


def test_bicubic_has_nothing_above_an_eighth_and_too_much_below():
    assert band_ratio("sim-bicubic", 0.25, 0.5) < 0.15
    assert band_ratio("sim-bicubic", 0.05, 0.1) > 1.1


def test_spectral_regularisation_defeats_the_azimuthal_spectrum_and_not_the_pixels():
    spectra = [
        np.abs(fft.rfft2(images(slug), axes=(1, 2))) for slug in ("sim-regularised", "sim-nearest", REAL)
    ]
    ring = np.rint(SIDE * np.hypot(fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE)[None, :])).astype(int)
    corrected, plain, real = (
        np.array([[s[..., ring == r].mean() for r in range(1, ring.max())] for s in spectrum.mean(axis=3)])
        for spectrum in spectra
    )
    assert np.abs(corrected / real - 1).max() < 0.03
    assert np.abs(plain / real - 1).max() > 0.5
    assert step_ratio("sim-regularised", 2) > 2


def test_vector_quantisation_uses_a_codebook():
    """What a 4×4 patch adds to the interpolated patch means is one of at most 64 codes."""
    codes = set()
    for fake, real in zip(images("sim-codebook"), images(REAL), strict=True):
        means = cv2.resize(real, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA)
        detail = fake - cv2.resize(means, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        patches = detail.reshape(SIDE // 4, 4, SIDE // 4, 4, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 48)
        codes |= {tuple(patch) for patch in np.round(patches, 4).tolist()}
    # Rounding may split a code whose value lies between two steps, hence twice as many.
    assert 20 < len(codes) <= 128
    assert step_ratio("sim-codebook", 4) > 1.3


def test_block_dct_coefficients_come_from_a_coarse_alphabet():
    blocks = images("sim-block-dct").reshape(COUNT, SIDE // 8, 8, SIDE // 8, 8, 3)
    coefficients = fft.dctn(blocks, axes=(2, 4), norm="ortho")[:, :, 3, :, 4]
    assert len(np.unique(np.round(coefficients, 3))) < 12
    assert step_ratio("sim-block-dct", 8) > 1.3
    assert 0.9 < step_ratio(REAL, 8) < 1.1


def test_patch_attention_steps_at_its_tokens():
    assert step_ratio("sim-patches", 16) > 1.2
    assert 0.9 < step_ratio(REAL, 16) < 1.1


def test_alias_free_has_nothing_near_nyquist():
    assert band_ratio("sim-alias-free", 0.05, 0.2) == pytest.approx(1, abs=0.05)
    assert band_ratio("sim-alias-free", 0.45, 0.5) < 0.1


def test_latent_decoder_has_peaks_at_multiples_of_an_eighth_and_lacks_detail():
    multiples = [(row, column) for row in range(0, SIDE, SIDE // 8) for column in range(0, SIDE, SIDE // 8)]
    high = [(row, column) for row, column in multiples if NYQUIST // 2 < row < 3 * NYQUIST // 2]
    assert np.median([peak("sim-latent", *at) for at in high]) > 3
    assert np.median([peak(REAL, *at) for at in high]) < 1.5
    assert band_ratio("sim-latent", 0.3, 0.36) < 0.6


def test_diffusion_falls_faster_than_photographs():
    ratios = [band_ratio("sim-diffusion", low, low + 0.05) for low in (0.05, 0.15, 0.25, 0.35)]
    assert ratios[0] == pytest.approx(1, abs=0.02)
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 0.6


def test_guidance_saturates_and_over_contrasts():
    fake, real = images("sim-guidance"), images(REAL)
    assert np.ptp(fake, axis=3).mean() > 1.2 * np.ptp(real, axis=3).mean()
    assert luma(fake).std(axis=(1, 2)).mean() > 1.1 * luma(real).std(axis=(1, 2)).mean()
    assert luma(fake).mean(axis=(1, 2)).std() < 0.5 * luma(real).mean(axis=(1, 2)).std()


def test_few_step_smooths_texture_and_keeps_edges():
    before, after = (np.abs(np.diff(luma(images(slug)), axis=2)) for slug in (REAL, "sim-few-step"))
    texture, edges = before < np.median(before), before > np.quantile(before, 0.99)
    assert after[texture].mean() < 0.8 * before[texture].mean()
    assert after[edges].mean() > 0.8 * before[edges].mean()


def test_sixteen_families_in_the_order_of_their_release_make_four_windows():
    dates = [family.release_date for family in FAMILIES]
    assert len(FAMILIES) == 16
    assert dates == sorted(set(dates))
    assert len(BY_SLUG) == 16
    assert all(family.name.startswith("Simulated: ") for family in FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.slug)
class TestEveryFamily:
    def test_keeps_shape_and_type_and_is_decided_by_its_seed(self, family: Family):
        photograph = photographs()[0]
        before = photograph.copy()
        first, second = (family.trace(photograph, np.random.default_rng(3)) for _ in range(2))
        assert first.shape == photograph.shape
        assert first.dtype == np.float32
        assert (first == second).all()
        assert (photograph == before).all()

    def test_keeps_the_picture(self, family: Family):
        """A trace changes how an image is made, not what it shows."""
        for fake, real in zip(luma(images(family.slug)), luma(images(REAL)), strict=True):
            assert np.corrcoef(fake.ravel(), real.ravel())[0, 1] > 0.75


def test_the_docs_list_every_family_in_its_window():
    page = (Path(__file__).parents[3] / "docs" / "simulated-corpus.md").read_text()
    listed = re.findall(r"^\| (\d) \| `(sim-[a-z-]+)` \|", page, re.MULTILINE)
    assert listed == [(str(index // 4), family.slug) for index, family in enumerate(FAMILIES)]
