"""Decoding files of unknown origin into plain pixels, under limits."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from evaluator.data.fingerprints import Pixels, content_hash, jpeg_quality
from protocols.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


@dataclass(frozen=True)
class Limits:
    """What an image may be: bytes of the file, pixels in all, and pixels of its shorter side."""

    max_bytes: int = 64 * 2**20
    max_pixels: int = 64_000_000
    min_side: int = 32


LIMITS = Limits()


@dataclass(frozen=True)
class Decoded:
    """An image as pixels (H×W×3, uint8, RGB) with what is worth knowing about its file."""

    pixels: Pixels
    content_hash: str
    source_format: str
    source_bytes: int
    jpeg_quality: int | None


def decode(data: bytes, limits: Limits = LIMITS) -> Decoded:
    """Decode one image file, upright, on white, as 8-bit RGB; metadata and colour profiles are dropped.

    16-bit samples keep their upper byte. Raises ``DataError`` with ``image_broken``,
    ``image_too_large``, ``image_too_small`` or ``image_animated``.
    """
    if len(data) > limits.max_bytes:
        raise DataError("image_too_large", f"The file has more than {limits.max_bytes:,} bytes.")
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata, which is dropped, and about sizes, which are checked below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check(image, limits)
                source_format = "JPEG" if image.format == "MPO" else str(image.format)
                quality = jpeg_quality(getattr(image, "quantization", None) or {})
                pixels = _pixels(image)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError("image_too_large", f"More than {limits.max_pixels:,} pixels.") from error
    except UnidentifiedImageError as error:
        raise DataError("image_broken", f"The file is none of {', '.join(FORMATS)}.") from error
    except Exception as error:
        # A decoder fed with rubbish raises nearly anything: OSError, SyntaxError, struct.error, …
        raise DataError("image_broken", f"{type(error).__name__}: {error}") from error
    return Decoded(pixels, content_hash(pixels), source_format, len(data), quality)


def _check(image: Image.Image, limits: Limits) -> None:
    """Refuse by what the header says, before a pixel is decoded."""
    width, height = image.size
    if width * height > limits.max_pixels:
        raise DataError(
            "image_too_large", f"{width}×{height} pixels are more than {limits.max_pixels:,} in all."
        )
    if min(width, height) < limits.min_side:
        raise DataError(
            "image_too_small", f"{width}×{height} pixels; the shorter side needs {limits.min_side}."
        )
    # MPO is how phones store a photograph with its depth or gain map: the first frame is the image.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise DataError("image_animated", "The file has more than one frame.")


def _pixels(image: Image.Image) -> Pixels:
    image.load()
    upright = _upright(image)
    if upright.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    if upright.mode in ("I", "F"):
        raise DataError("image_broken", "32-bit samples have no known range; export 8 or 16 bits.")
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Unreadable EXIF says nothing about the orientation, and the pixels are fine.
        return image
