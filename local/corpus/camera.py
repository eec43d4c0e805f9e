"""Simulated cameras: lens, Bayer sensor, noise, demosaicing and tone curve.

The steps and their order are those of a plain raw converter (Brooks et al., "Unprocessing
Images for Learned Raw Denoising", CVPR 2019); sensor noise is Poisson–Gaussian (Foi et
al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from local.corpus.scene import Image

# A scene is rendered on a grid this many times finer than the delivered image.
SCENE_SCALE = 2
WHITE_LEVEL = 16383  # of a 14-bit sensor


@dataclass(frozen=True)
class Camera:
    """One source of real images.

    ``oversampling`` is the ratio of sensor pixels to delivered pixels along a side (1 or
    2), ``edge_aware`` the demosaicing, ``lens_blur`` the range of the point spread's sigma in
    sensor pixels, ``gain`` the range of the noise variance a fully lit pixel has (of full
    scale squared), ``sharpening`` the amount of unsharp masking and ``denoising`` the
    strength of the in-camera noise filter (0: none).
    """

    slug: str
    name: str
    oversampling: int
    edge_aware: bool
    lens_blur: tuple[float, float]
    gain: tuple[float, float]
    sharpening: float
    denoising: float


CAMERAS = (
    Camera("sim-compact", "Simulated camera: compact", 1, False, (0.35, 0.9), (1e-4, 2e-3), 0.5, 0.0),
    Camera("sim-reflex", "Simulated camera: reflex, resized", 2, True, (0.5, 1.6), (5e-5, 1e-3), 0.2, 0.0),
    Camera("sim-phone", "Simulated camera: phone", 1, True, (0.4, 0.8), (5e-4, 3e-3), 0.9, 0.03),
)


def photograph(radiance: Image, camera: Camera, rng: np.random.Generator) -> Image:
    """Develop a scene into gamma-encoded RGB in [0, 1].

    ``radiance`` is linear, side×side×3, on the fine grid of ``SCENE_SCALE``; the result has
    ``1/SCENE_SCALE`` of its side.
    """
    delivered = len(radiance) // SCENE_SCALE
    sensor_side = delivered * camera.oversampling
    optical = cv2.GaussianBlur(_shrink(radiance, sensor_side), (0, 0), float(rng.uniform(*camera.lens_blur)))
    optical = optical * _vignette(sensor_side, float(rng.uniform(0, 0.35)))
    raw = _expose(_mosaic(np.asarray(optical, np.float32)), camera, rng)
    encoded = _tone(_shrink(_demosaic(raw, camera.edge_aware), delivered))
    if camera.denoising:
        encoded = np.asarray(cv2.bilateralFilter(encoded, 5, camera.denoising, 1.0), np.float32)
    soft = cv2.GaussianBlur(encoded, (0, 0), 1.0)
    return np.asarray(np.clip(encoded + camera.sharpening * (encoded - soft), 0, 1), np.float32)


def _shrink(image: Image, side: int) -> Image:
    """Average over the area of each new pixel, as a sensor or a good resizer does."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _vignette(side: int, strength: float) -> Image:
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return (1 - strength * (axis[:, None] ** 2 + axis[None, :] ** 2) / 2)[..., None].astype(np.float32)


def _mosaic(optical: Image) -> Image:
    """One colour sample a pixel, in the order R G / G B."""
    raw = optical[..., 1].copy()
    raw[0::2, 0::2] = optical[0::2, 0::2, 0]
    raw[1::2, 1::2] = optical[1::2, 1::2, 2]
    return raw


def _expose(raw: Image, camera: Camera, rng: np.random.Generator) -> Image:
    """Poisson–Gaussian noise in its heteroscedastic normal form: variance gain·x + floor."""
    gain = math.exp(rng.uniform(*np.log(camera.gain)))
    floor = (gain * 0.03) ** 2 + gain * 0.002
    noise = rng.standard_normal(raw.shape, dtype=np.float32)
    return np.asarray(np.clip(raw + noise * np.sqrt(gain * raw + floor), 0, 1), np.float32)


def _demosaic(raw: Image, edge_aware: bool) -> Image:
    # OpenCV names a pattern by its second row: R G / G B is "BayerBG".
    code = cv2.COLOR_BayerBG2RGB_EA if edge_aware else cv2.COLOR_BayerBG2RGB
    samples = np.rint(raw * WHITE_LEVEL).astype(np.uint16)
    return np.asarray(cv2.demosaicing(samples, code) / np.float32(WHITE_LEVEL), np.float32)


def _tone(linear: Image) -> Image:
    """The sRGB transfer function followed by a mild S-curve."""
    encoded = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055
    )
    return np.asarray(0.6 * encoded + 0.4 * encoded**2 * (3 - 2 * encoded), np.float32)
