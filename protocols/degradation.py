"""The mandatory degradation of evaluation images, as a plan and its execution.

Source: Pellegrini et al., "AI-GenBench", arXiv 2504.20865, evaluation pre-processing. In
this order: centre crop to 1080×1080, grayscale (p = .1), JPEG (.5), Gaussian noise (.3),
JPEG (.2), random resized crop (.25), JPEG (.1). The two versions differ in how they draw
a JPEG quality and in nothing else:

- ``v1-compat`` takes 50 or 100 with equal chance, as the official code does in effect;
- ``v2`` takes every integer from 50 to 100 with equal chance, as the paper describes.

Both follow the published *distribution*; no version reproduces the official draws, which
are seeded by an image's position in the split. Here the seed is the image's content hash
and the version, so an image keeps its pixels when the split around it changes.

What the protocol leaves open is chosen once and is part of both versions: both codecs
write baseline JPEG with 4:2:0 chroma subsampling and libjpeg's standard tables, and each
codec reads back what it wrote; grayscale is Rec. 601 luma in three equal channels;
resizing is OpenCV's on 8-bit pixels (fixed point, clamped, rounded) without a low-pass
filter before shrinking; noise is independent for every pixel and channel.

The resized crop's output side is 256 to 512 whatever the size of the input: a small image
is *enlarged* by it. That is the protocol's rule, and a quarter of the images meet it.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

VERSIONS = ("v1-compat", "v2")

MAX_SIDE = 1080
GRAYSCALE_SHARE = 0.1
NOISE_SHARE = 0.3
NOISE_STD = (0.015, 0.075)  # of full scale
CROP_SHARE = 0.25
CROP_SIDE = (256, 512)
CROP_AREA = (0.5, 1.0)  # of the image's area
CROP_ASPECT = (0.9, 1 / 0.9)  # width over height
CROP_ATTEMPTS = 10
JPEG_SHARES = (0.5, 0.2, 0.1)
JPEG_QUALITY = (50, 100)

# One thread: callers run one process a core, OpenCV's pool does not survive a fork, and
# no result may depend on how rows are split between threads.
cv2.setNumThreads(0)


class Codec(StrEnum):
    OPENCV = "opencv"
    PILLOW = "pillow"


class Interpolation(StrEnum):
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


_CV2_INTERPOLATION = {
    Interpolation.BILINEAR: cv2.INTER_LINEAR,
    Interpolation.BICUBIC: cv2.INTER_CUBIC,
    Interpolation.LANCZOS: cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True)
class CentreCrop:
    """Keep the central ``max_side`` pixels of each side that is longer."""

    max_side: int = MAX_SIDE


@dataclass(frozen=True)
class Grayscale:
    """Replace the colours by their luma."""


@dataclass(frozen=True)
class Jpeg:
    """Encode and decode once with ``codec`` at ``quality`` (1 to 100)."""

    codec: Codec
    quality: int


@dataclass(frozen=True)
class GaussianNoise:
    """Add white noise of standard deviation ``std`` (of full scale), drawn from ``seed``."""

    std: float
    seed: int


@dataclass(frozen=True)
class ResizedCrop:
    """Cut a window and resize it to ``side``×``side`` pixels.

    The window depends on the image's size, so it is drawn from ``seed`` when the image is
    known: see :func:`crop_window`.
    """

    side: int
    interpolation: Interpolation
    seed: int


Operation = CentreCrop | Grayscale | Jpeg | GaussianNoise | ResizedCrop


@dataclass(frozen=True)
class Recipe:
    """What happens to one image, in order."""

    version: str
    operations: tuple[Operation, ...]


def degrade(pixels: Pixels, content_hash: str, version: str) -> Pixels:
    """Degrade ``pixels`` (H×W×3, RGB) as ``version`` prescribes for ``content_hash`` (hex).

    Returns a new H'×W'×3 array; raises ``ValueError`` as :func:`draw` and :func:`apply` do.
    """
    return apply(pixels, draw(content_hash, version))


def draw(content_hash: str, version: str) -> Recipe:
    """The recipe of the image with this ``content_hash`` (hex): pure, the same everywhere.

    Raises ``ValueError`` for an unknown version or a hash that is not hexadecimal.
    """
    if version not in VERSIONS:
        raise ValueError(f"degradation version {version!r} is unknown; known: {', '.join(VERSIONS)}")
    rng = _generator(content_hash, version)
    first_jpeg, second_jpeg, third_jpeg = JPEG_SHARES
    operations: list[Operation] = [CentreCrop()]
    if rng.random() < GRAYSCALE_SHARE:
        operations.append(Grayscale())
    if rng.random() < first_jpeg:
        operations.append(_draw_jpeg(rng, version))
    if rng.random() < NOISE_SHARE:
        operations.append(GaussianNoise(std=float(rng.uniform(*NOISE_STD)), seed=_draw_seed(rng)))
    if rng.random() < second_jpeg:
        operations.append(_draw_jpeg(rng, version))
    if rng.random() < CROP_SHARE:
        operations.append(_draw_crop(rng))
    if rng.random() < third_jpeg:
        operations.append(_draw_jpeg(rng, version))
    return Recipe(version, tuple(operations))


def apply(pixels: Pixels, recipe: Recipe) -> Pixels:
    """Carry out ``recipe`` on ``pixels`` (H×W×3, RGB, uint8); the input is left as it is.

    Returns a new uint8 array, H'×W'×3. Raises ``ValueError`` for any other shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"expected H×W×3 uint8 pixels, got {pixels.shape} {pixels.dtype}")
    result = pixels.copy()
    for operation in recipe.operations:
        result = _apply_one(result, operation)
    return result


def crop_window(height: int, width: int, seed: int) -> tuple[int, int, int, int]:
    """``(top, left, height, width)`` in pixels of the window a :class:`ResizedCrop` cuts.

    Area share uniform, aspect ratio log-uniform, position uniform; a window that does not
    fit is drawn again. After ten misses (very long images) it is the largest central window
    whose aspect ratio is allowed.
    """
    rng = np.random.default_rng(seed)
    for _ in range(CROP_ATTEMPTS):
        area = height * width * rng.uniform(*CROP_AREA)
        aspect = math.exp(rng.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
        window_width = round(math.sqrt(area * aspect))
        window_height = round(math.sqrt(area / aspect))
        if 0 < window_width <= width and 0 < window_height <= height:
            top = int(rng.integers(height - window_height + 1))
            left = int(rng.integers(width - window_width + 1))
            return top, left, window_height, window_width
    window_width = max(1, min(width, round(height * CROP_ASPECT[1])))
    window_height = max(1, min(height, round(width / CROP_ASPECT[0])))
    return (height - window_height) // 2, (width - window_width) // 2, window_height, window_width


def _generator(content_hash: str, version: str) -> np.random.Generator:
    content = bytes.fromhex(content_hash)
    if not content:
        raise ValueError("the content hash is empty; give it as hexadecimal digits")
    digest = hashlib.sha256(f"degradation {version} ".encode() + content).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


def _draw_jpeg(rng: np.random.Generator, version: str) -> Jpeg:
    codec = (Codec.OPENCV, Codec.PILLOW)[rng.integers(2)]
    lowest, highest = JPEG_QUALITY
    if version == "v1-compat":
        return Jpeg(codec, JPEG_QUALITY[rng.integers(2)])
    return Jpeg(codec, int(rng.integers(lowest, highest, endpoint=True)))


def _draw_crop(rng: np.random.Generator) -> ResizedCrop:
    return ResizedCrop(
        side=int(rng.integers(*CROP_SIDE, endpoint=True)),
        interpolation=tuple(Interpolation)[rng.integers(3)],
        seed=_draw_seed(rng),
    )


def _apply_one(pixels: Pixels, operation: Operation) -> Pixels:
    match operation:
        case CentreCrop():
            return _centre_crop(pixels, operation.max_side)
        case Grayscale():
            return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
        case Jpeg(codec=Codec.OPENCV):
            return _jpeg_opencv(pixels, operation.quality)
        case Jpeg():
            return _jpeg_pillow(pixels, operation.quality)
        case GaussianNoise():
            return _add_noise(pixels, operation)
        case ResizedCrop():
            return _resized_crop(pixels, operation)


def _centre_crop(pixels: Pixels, max_side: int) -> Pixels:
    height, width = pixels.shape[:2]
    top = max(0, height - max_side) // 2
    left = max(0, width - max_side) // 2
    return np.ascontiguousarray(pixels[top : top + max_side, left : left + max_side])


def _jpeg_opencv(pixels: Pixels, quality: int) -> Pixels:
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def _jpeg_pillow(pixels: Pixels, quality: int) -> Pixels:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(encoded) as image:
        return np.array(image)


def _add_noise(pixels: Pixels, noise: GaussianNoise) -> Pixels:
    rng = np.random.default_rng(noise.seed)
    noisy = pixels + rng.normal(scale=255 * noise.std, size=pixels.shape)
    return np.rint(noisy).clip(0, 255).astype(np.uint8)


def _resized_crop(pixels: Pixels, crop: ResizedCrop) -> Pixels:
    top, left, height, width = crop_window(pixels.shape[0], pixels.shape[1], crop.seed)
    window = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    interpolation = _CV2_INTERPOLATION[crop.interpolation]
    return np.asarray(cv2.resize(window, (crop.side, crop.side), interpolation=interpolation), dtype=np.uint8)
