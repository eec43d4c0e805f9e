"""Sixteen simulated generator families, each the trace of a documented mechanism.

A family takes a developed photograph of a scene of its own and passes it through the last
stage of a class of generators, after the idea of AutoGAN (Zhang, Karaman, Chang,
"Detecting and Simulating Artifacts in GAN Fake Images", WIFS 2019): what is left is a
natural-looking image with that stage's fingerprint. Nothing here is or imitates the
output of a named product; the dates only give an order, close to that in which the
mechanisms appeared.

A trace maps gamma-encoded RGB in [0, 1], side×side×3 float32, to the same; the result may
leave [0, 1] and is clipped when it is encoded. ``rng`` varies what varies between the
images of one generator; what is fixed for a generator (its kernels, its codebook) comes
from its own constant seed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from local.corpus.scene import Image, render

Trace = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Family:
    """A simulated generator: how it is listed, and the ``trace`` it leaves."""

    slug: str
    name: str
    kind: str
    release_date: date
    mechanism: str
    trace: Trace


# Up-sampling ---------------------------------------------------------------------------


def nearest(image: Image, _rng: np.random.Generator) -> Image:
    """Nearest neighbour ×2 and a 3×3 convolution, as in ProGAN (Karras et al. 2018)."""
    return _convolve(
        _half(image).repeat(2, axis=0).repeat(2, axis=1), np.outer([0.08, 0.84, 0.08], [0.08, 0.84, 0.08])
    )


def transposed_convolution(image: Image, _rng: np.random.Generator) -> Image:
    """Stride 2, kernel 3: uneven overlap makes a checkerboard (Odena, Dumoulin, Olah 2016)."""
    kernel = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    learned = np.random.default_rng(3).normal(scale=0.035, size=(3, 3))
    return _convolve(_zero_insertion(_half(image)), kernel + learned)


def zero_insertion(image: Image, _rng: np.random.Generator) -> Image:
    """Zeros between pixels and a low-pass that lets part of the replica through (AutoGAN)."""
    taps = np.array([0.49, 1.01, 0.49])
    return _convolve(_zero_insertion(_half(image)), np.outer(taps, taps))


def sub_pixel_shuffle(image: Image, _rng: np.random.Generator) -> Image:
    """Four phases from four filters, interleaved (Shi et al. 2016; artefact: Aitken et al. 2017)."""
    small = _half(image)
    filters = np.random.default_rng(4)
    phases = np.array([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    result = np.empty_like(image)
    for row in (0, 1):
        for column in (0, 1):
            kernel = np.outer(phases[row], phases[column]) + filters.normal(scale=0.02, size=(3, 3))
            result[row::2, column::2] = _convolve(small, kernel)
    return result


def bilinear(image: Image, rng: np.random.Generator) -> Image:
    """Bilinear ×2 with the noise inputs of StyleGAN (Karras et al. 2019)."""
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None]
    return _resize(_half(image), len(image), cv2.INTER_LINEAR) + 0.006 * noise


def bicubic(image: Image, _rng: np.random.Generator) -> Image:
    """A super-resolution stage that starts from bicubic ×4 and sharpens (Dong et al. 2014)."""
    small = _resize(image, len(image) // 4, cv2.INTER_AREA)
    large = _resize(small, len(image), cv2.INTER_CUBIC)
    return large + 1.2 * (large - cv2.GaussianBlur(large, (0, 0), 2.0))


def alias_free(image: Image, _rng: np.random.Generator) -> Image:
    """Every signal band-limited below Nyquist by a Kaiser low-pass (StyleGAN3, Karras et al. 2021)."""
    taps = np.sinc(0.6 * np.arange(-6, 7)) * np.kaiser(13, 5.0)
    taps /= taps.sum()
    return np.asarray(cv2.sepFilter2D(image, -1, taps, taps), dtype=np.float32)


def spectral_regularised(image: Image, rng: np.random.Generator) -> Image:
    """Up-sampled, then given the azimuthal spectrum of a photograph (Durall et al. 2020)."""
    spectrum, target = fft.rfft2(nearest(image, rng), axes=(0, 1)), fft.rfft2(image, axes=(0, 1))
    ring = _ring(len(image))
    present, wanted = (
        ndimage.mean(np.abs(s).mean(axis=2), ring, np.arange(ring.max() + 1)) for s in (spectrum, target)
    )
    gain = (wanted / np.maximum(present, 1e-9))[ring]
    return _inverse(spectrum * gain[..., None], len(image))


# Quantisation --------------------------------------------------------------------------


def vector_quantised(image: Image, _rng: np.random.Generator) -> Image:
    """4×4 patches from a codebook, smoothed by the decoder (VQ-VAE, van den Oord et al. 2017)."""
    side = len(image)
    mean = _resize(image, side // 4, cv2.INTER_AREA)
    smooth = _resize(mean, side, cv2.INTER_LINEAR)
    patches = _patches(image - smooth)
    codes = _codebook()
    distance = (codes**2).sum(axis=1) - 2 * np.einsum("pi,ci->pc", patches, codes)
    detail = codes[distance.argmin(axis=1)].reshape(side // 4, side // 4, 4, 4, 3)
    return np.asarray(smooth + detail.transpose(0, 2, 1, 3, 4).reshape(image.shape), dtype=np.float32)


def block_dct(image: Image, _rng: np.random.Generator) -> Image:
    """8×8 DCT coefficients drawn from a coarse alphabet (DCTransformer, Nash et al. 2021)."""
    frequency = np.add.outer(np.arange(8), np.arange(8))
    step = (0.05 + 0.03 * frequency)[None, :, None, :, None]
    return _from_dct(np.rint(_to_dct(image) / step) * step)


def patch_attention(image: Image, rng: np.random.Generator) -> Image:
    """16×16 tokens that agree on content and not quite on level (TransGAN, Jiang et al. 2021)."""
    tokens = len(image) // 16
    gain = 1 + rng.normal(scale=0.06, size=(tokens, tokens, 3))
    offset = rng.normal(scale=0.02, size=(tokens, tokens, 3))
    gain, offset = (x.repeat(16, axis=0).repeat(16, axis=1) for x in (gain, offset))
    return np.asarray(image * gain + offset, dtype=np.float32)


# Colour --------------------------------------------------------------------------------


def normalised_colour(image: Image, _rng: np.random.Generator) -> Image:
    """Normalisation keeps clear of black, white and pure colours (McCloskey, Albright 2018)."""
    grey = image.mean(axis=2, keepdims=True)
    muted = grey + 0.75 * (image - grey)
    return np.asarray(0.5 + 0.42 * np.tanh((muted - 0.5) / 0.42), dtype=np.float32)


def guided(image: Image, _rng: np.random.Generator) -> Image:
    """Strong guidance saturates and over-contrasts around mid-grey (Saharia 2022; Lin 2024)."""
    centred = image - image.mean(axis=(0, 1)) * 0.8
    grey = centred.mean(axis=2, keepdims=True)
    return np.asarray(0.4 + 1.25 * (grey + 1.4 * (centred - grey)), dtype=np.float32)


# Diffusion -----------------------------------------------------------------------------


def latent_decoder(image: Image, _rng: np.random.Generator) -> Image:
    """An 8× smaller latent of 15 channels a position, decoded (Rombach et al. 2022).

    Blur and ringing from the lost coefficients, and the decoder's own weak period-8
    pattern, whose spectral peaks Corvi et al. (2023) report.
    """
    kept = (np.add.outer(np.arange(8), np.arange(8)) < 5)[None, :, None, :, None]
    decoded = (_from_dct(_to_dct(image) * kept) + _shifted(lambda x: _from_dct(_to_dct(x) * kept), image)) / 2
    pattern = np.random.default_rng(8).normal(scale=0.004, size=(8, 8, 1))
    return np.asarray(decoded + np.tile(pattern, (len(image) // 8, len(image) // 8, 1)), dtype=np.float32)


def diffusion(image: Image, rng: np.random.Generator) -> Image:
    """High frequencies fall short of 1/f (Ricker et al. 2022), a little of the noise remains."""
    frequency = _radius(len(image))
    gain = np.maximum(frequency / 0.12, 1) ** -0.9
    short = _inverse(fft.rfft2(image, axes=(0, 1)) * gain[..., None], len(image))
    return short + 0.004 * rng.standard_normal(image.shape, dtype=np.float32)


def over_smoothed(image: Image, _rng: np.random.Generator) -> Image:
    """A distilled few-step sampler: edges stay, texture goes (bilateral; Tomasi, Manduchi 1998)."""
    return np.asarray(cv2.bilateralFilter(np.clip(image, 0, 1), 7, 0.25, 2.0), dtype=np.float32)


# In the order of their release.
FAMILIES = (
    Family(
        "sim-checkerboard",
        "Simulated: transposed convolution ×2",
        "up-sampling",
        date(2016, 10, 17),
        "uneven overlap of a stride-2 transposed convolution (Odena et al. 2016)",
        transposed_convolution,
    ),
    Family(
        "sim-nearest",
        "Simulated: nearest ×2",
        "up-sampling",
        date(2017, 10, 27),
        "nearest-neighbour up-sampling and a convolution (Karras et al. 2018)",
        nearest,
    ),
    Family(
        "sim-zero-insertion",
        "Simulated: zero insertion ×2",
        "up-sampling",
        date(2018, 3, 5),
        "spectral replicas of zero insertion (Zhang et al. 2019)",
        zero_insertion,
    ),
    Family(
        "sim-sub-pixel",
        "Simulated: sub-pixel shuffle ×2",
        "up-sampling",
        date(2018, 9, 3),
        "four interleaved phases from four filters (Shi et al. 2016; Aitken et al. 2017)",
        sub_pixel_shuffle,
    ),
    Family(
        "sim-bilinear",
        "Simulated: bilinear ×2 with noise",
        "up-sampling",
        date(2018, 12, 12),
        "bilinear up-sampling with injected noise (Karras et al. 2019)",
        bilinear,
    ),
    Family(
        "sim-colour",
        "Simulated: normalised colours",
        "colour",
        date(2019, 6, 3),
        "no extreme tones, no pure colours (McCloskey and Albright 2018)",
        normalised_colour,
    ),
    Family(
        "sim-bicubic",
        "Simulated: bicubic ×4",
        "up-sampling",
        date(2019, 12, 3),
        "super-resolution from bicubic ×4, sharpened (Dong et al. 2014)",
        bicubic,
    ),
    Family(
        "sim-regularised",
        "Simulated: spectral regularisation",
        "up-sampling",
        date(2020, 3, 3),
        "up-sampling with a corrected azimuthal spectrum (Durall et al. 2020)",
        spectral_regularised,
    ),
    Family(
        "sim-codebook",
        "Simulated: vector quantisation",
        "quantisation",
        date(2020, 12, 17),
        "patches from a codebook (van den Oord et al. 2017)",
        vector_quantised,
    ),
    Family(
        "sim-patches",
        "Simulated: patch attention",
        "attention",
        date(2021, 2, 14),
        "16×16 tokens at slightly different levels (Jiang et al. 2021)",
        patch_attention,
    ),
    Family(
        "sim-block-dct",
        "Simulated: block DCT",
        "quantisation",
        date(2021, 3, 5),
        "8×8 DCT coefficients from a coarse alphabet (Nash et al. 2021)",
        block_dct,
    ),
    Family(
        "sim-alias-free",
        "Simulated: alias-free low-pass",
        "up-sampling",
        date(2021, 6, 23),
        "band limit below Nyquist (Karras et al. 2021)",
        alias_free,
    ),
    Family(
        "sim-latent",
        "Simulated: latent decoder ×8",
        "diffusion",
        date(2021, 12, 20),
        "8× smaller latent: blur, ringing, period-8 pattern (Rombach et al. 2022; Corvi et al. 2023)",
        latent_decoder,
    ),
    Family(
        "sim-diffusion",
        "Simulated: pixel diffusion",
        "diffusion",
        date(2022, 8, 22),
        "high frequencies short of 1/f, residual noise (Ricker et al. 2022)",
        diffusion,
    ),
    Family(
        "sim-guidance",
        "Simulated: strong guidance",
        "diffusion",
        date(2023, 7, 26),
        "saturated and over-contrasted around mid-grey (Saharia et al. 2022; Lin et al. 2024)",
        guided,
    ),
    Family(
        "sim-few-step",
        "Simulated: few-step sampler",
        "diffusion",
        date(2024, 2, 1),
        "texture smoothed away between edges (as a bilateral filter, Tomasi and Manduchi 1998)",
        over_smoothed,
    ),
)


# Parts ---------------------------------------------------------------------------------


def _resize(image: Image, side: int, interpolation: int) -> Image:
    return np.asarray(cv2.resize(image, (side, side), interpolation=interpolation), dtype=np.float32)


def _half(image: Image) -> Image:
    return _resize(image, len(image) // 2, cv2.INTER_AREA)


def _zero_insertion(small: Image) -> Image:
    large = np.zeros((2 * len(small), 2 * len(small), 3), np.float32)
    large[::2, ::2] = small
    return large


def _convolve(image: Image, kernel: NDArray[np.float64]) -> Image:
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _shifted(function: Callable[[Image], Image], image: Image) -> Image:
    """``function`` on the image moved by half a block and back."""
    return np.roll(function(np.roll(image, (4, 4), (0, 1))), (-4, -4), (0, 1))


def _to_dct(image: Image) -> Image:
    """Blocks × 8 × blocks × 8 × 3 coefficients of the 8×8 blocks."""
    blocks = len(image) // 8
    return np.asarray(fft.dctn(image.reshape(blocks, 8, blocks, 8, 3), axes=(1, 3), norm="ortho"))


def _from_dct(coefficients: NDArray[np.floating]) -> Image:
    side = 8 * len(coefficients)
    return np.asarray(
        fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(side, side, 3), dtype=np.float32
    )


def _inverse(spectrum: NDArray[np.complexfloating], side: int) -> Image:
    return np.asarray(fft.irfft2(spectrum, s=(side, side), axes=(0, 1)), dtype=np.float32)


@functools.cache
def _radius(side: int) -> Image:
    """Radial frequency in cycles per pixel of every coefficient of ``rfft2``."""
    rows, columns = fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None, :]
    return np.asarray(np.hypot(rows, columns), dtype=np.float32)


@functools.cache
def _ring(side: int) -> NDArray[np.int64]:
    return np.rint(_radius(side) * side).astype(np.int64)


def _patches(detail: Image) -> Image:
    blocks = len(detail) // 4
    return detail.reshape(blocks, 4, blocks, 4, 3).transpose(0, 2, 1, 3, 4).reshape(blocks**2, 48)


@functools.cache
def _codebook() -> Image:
    """64 4×4 details, sampled from scenes of a constant seed; the first is flat."""
    rng = np.random.default_rng(11)
    side = 128
    details = []
    for _ in range(8):
        image = np.clip(render(rng, side), 0, 1) ** np.float32(1 / 2.2)
        details.append(
            _patches(image - _resize(_resize(image, side // 4, cv2.INTER_AREA), side, cv2.INTER_LINEAR))
        )
    codes = rng.choice(np.concatenate(details), size=64, replace=False)
    codes[0] = 0
    return np.asarray(codes, dtype=np.float32)
