"""Degraded copies of a training image, drawn as the benchmark degrades what it evaluates on.

Training images arrive as they are; evaluation images went through greyscale, JPEG and noise
(docs/protocol.md). The protocol allows at most four deterministic variants of an image; flips and
crops may be random and are left to the detector.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image

N_VARIANTS = 4


def variant(image: Image.Image, number: int) -> Image.Image:
    """Variant ``number`` in 0..3 of an RGB image: 0 is the image itself, the others are always the same.

    They are drawn from its pixels, so an image has the same ones on every server, whatever its id there.
    Each of the others is greyscale with p = .1, a JPEG of quality 50–100 with p = .65, and gets Gaussian
    noise of standard deviation .015–.075 (of full scale) with p = .3, independently.
    """
    if number == 0:
        return image
    digest = hashlib.blake2b(image.tobytes(), digest_size=8, salt=bytes([number])).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    grey, jpeg, noise = rng.random(3) < (0.1, 0.65, 0.3)
    if grey:
        image = image.convert("L").convert("RGB")
    if noise:
        image = _noisy(image, rng)
    if jpeg:
        image = _jpeg(image, quality=int(rng.integers(50, 101)))
    return image


def _noisy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    deviation = 255 * rng.uniform(0.015, 0.075)
    noisy = pixels + deviation * rng.standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
