"""Versions of a picture as people make them: cropped, resized and encoded again."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from tests.evaluator.data.images import Pixels, file_of

# Shares of the width and height that are cut off: left, top, right, bottom.
Margins = tuple[float, float, float, float]

CROP = 0.05
CROPS: Mapping[str, Callable[[np.random.Generator], Margins]] = {
    "none": lambda rng: (0.0, 0.0, 0.0, 0.0),
    "one side": lambda rng: tuple(CROP * (np.arange(4) == rng.integers(4))),  # type: ignore[return-value]
    "centre": lambda rng: (CROP / 2,) * 4,
    "corner": lambda rng: _cut(*(CROP * rng.integers(2, size=2))),
    "anywhere": lambda rng: _cut(*(CROP * rng.random(2))),
    "every side": lambda rng: (CROP,) * 4,
}
QUALITIES = (50, 95)
SCALES = (0.5, 2.0)
_SMALLEST = 32


def version(pixels: Pixels, crop: str, rng: np.random.Generator) -> Pixels:
    """One version: a crop, a size between half and double, and JPEG or WebP of quality 50 to 95."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = CROPS[crop](rng)
    box = (
        round(left * width),
        round(top * height),
        width - round(right * width),
        height - round(bottom * height),
    )
    image = Image.fromarray(pixels).crop(box)
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    size = tuple(max(_SMALLEST, round(side * scale)) for side in image.size)
    method = rng.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
    format = "WEBP" if rng.random() < 0.25 else "JPEG"
    quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    data = file_of(image.resize(size, method), format, quality=quality)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as again:
        return np.array(again.convert("RGB"))


def _cut(left: float, top: float) -> Margins:
    """The margins that leave ``1 - CROP`` of each side."""
    return left, top, CROP - left, CROP - top
