"""Scenes and cameras have the statistics of photographs that the docs promise."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from local.corpus import camera as cameras
from local.corpus.camera import CAMERAS, SCENE_SCALE, photograph
from local.corpus.scene import power_law_noise, render
from tests.local.corpus.photographs import SIDE, amplitude, luma, photographs, radius


def slopes(images: np.ndarray) -> np.ndarray:
    """N: α of the amplitude spectrum 1/f^α, fitted from 3/side to 0.35 cycles per pixel."""
    frequency = radius(images.shape[1])
    edges = np.geomspace(3 / images.shape[1], 0.35, 10)
    power = [
        (amplitude(images)[:, (frequency >= low) & (frequency < high)] ** 2).mean(axis=1)
        for low, high in itertools.pairwise(edges)
    ]
    return -np.polyfit(np.log(edges[:-1]), np.log(np.array(power)), 1)[0] / 2


def test_spectra_fall_as_those_of_photographs():
    alpha = slopes(photographs())
    assert 1.0 < np.median(alpha) < 1.6
    assert alpha.min() > 0.6
    assert alpha.max() < 2.4


def test_white_noise_would_not_pass_for_a_photograph():
    white = np.random.default_rng(0).random((4, SIDE, SIDE, 3), dtype=np.float32)
    assert np.abs(slopes(white)).max() < 0.2


@pytest.mark.parametrize("exponent", [1.0, 1.4, 2.0])
def test_power_law_noise_has_its_exponent(exponent):
    field = power_law_noise(np.random.default_rng(1), (256, 256), exponent)
    spectrum = np.abs(np.fft.fft2(field)).ravel()[1:]
    frequency = radius(256).ravel()[1:]
    assert -np.polyfit(np.log(frequency), np.log(spectrum), 1)[0] == pytest.approx(exponent, abs=0.03)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_gradients_are_sparse_as_in_photographs():
    """Edges and smooth surfaces make the tails heavy; for a Gaussian the kurtosis is 3."""
    gradient = np.diff(luma(photographs()), axis=2)
    kurtosis = (gradient**4).mean(axis=(1, 2)) / (gradient**2).mean(axis=(1, 2)) ** 2
    assert np.median(kurtosis) > 4.5


def test_exposure_is_moderate():
    images = photographs()
    assert 0.3 < images.mean() < 0.6
    assert ((images <= 0) | (images >= 1)).mean() < 0.03


def test_a_scene_is_decided_by_its_seed():
    assert (render(np.random.default_rng(5), 64) == render(np.random.default_rng(5), 64)).all()
    assert (render(np.random.default_rng(5), 64) != render(np.random.default_rng(6), 64)).mean() > 0.9


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.slug)
class TestCamera:
    def test_shape_and_range(self, camera):
        image = photograph(
            render(np.random.default_rng(2), SCENE_SCALE * 64), camera, np.random.default_rng(2)
        )
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1

    def test_colours_keep_their_channel(self, camera):
        for channel in range(3):
            flat = np.full((128, 128, 3), 0.05, np.float32)
            flat[..., channel] = 0.5
            means = photograph(flat, camera, np.random.default_rng(3)).mean(axis=(0, 1))
            assert means.argmax() == channel
            assert means[channel] > 2 * np.delete(means, channel).max()

    def test_noise_grows_with_light(self, camera):
        """Poisson–Gaussian: on the sensor the variance is gain·x + floor."""
        camera = dataclasses.replace(camera, gain=(1e-3, 1e-3))
        variances = []
        for level in (0.1, 0.2, 0.4):
            raw = cameras._expose(np.full((400, 400), level, np.float32), camera, np.random.default_rng(4))
            variances.append(raw.var())
            assert raw.mean() == pytest.approx(level, rel=0.01)
        assert np.diff(variances) / [0.1, 0.2] == pytest.approx(1e-3, rel=0.1)


def test_cameras_differ():
    radiance = render(np.random.default_rng(7), SCENE_SCALE * SIDE)
    shots = [photograph(radiance, camera, np.random.default_rng(7)) for camera in CAMERAS]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(shots[first] - shots[second]).mean() > 0.005
