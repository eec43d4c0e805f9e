"""What the worker processes do with one image. Nothing here needs Django or a database."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from evaluator.data.decode import LIMITS, decode
from evaluator.data.encode import decode_own, encode
from evaluator.data.fingerprints import thumbnail
from evaluator.data.sources import SourceFile
from protocols.degradation import degrade
from protocols.errors import DataError


@dataclass(frozen=True)
class Prepared:
    """A decoded image, encoded again, with the facts about its file."""

    png: bytes
    content_hash: str
    thumbnail: bytes
    width: int
    height: int
    source_format: str
    source_bytes: int
    jpeg_quality: int | None


@dataclass(frozen=True)
class Fault:
    """Why a file is not taken: a code of the catalogue and a sentence."""

    code: str
    detail: str


def prepare(file: SourceFile) -> Prepared | Fault:
    """Read, decode and encode one file."""
    try:
        decoded = decode(read_content(file.content))
    except DataError as error:
        return Fault(error.code, error.detail)
    height, width = decoded.pixels.shape[:2]
    return Prepared(
        encode(decoded.pixels),
        decoded.content_hash,
        thumbnail(decoded.pixels).tobytes(),
        width,
        height,
        decoded.source_format,
        decoded.source_bytes,
        decoded.jpeg_quality,
    )


def prepare_crashed(_: SourceFile) -> Fault:
    """The result for a file whose decoder took its whole process down."""
    return Fault("image_broken", "The decoder crashed or hung on this file.")


def freeze(image: tuple[bytes, str, str]) -> bytes:
    """Degrade one stored image: takes its PNG, content hash and degradation version, returns a PNG."""
    png, content_hash, version = image
    return encode(degrade(decode_own(png), content_hash, version))


class Encoded(NamedTuple):
    """What an encoded image tells without being looked at."""

    width: int
    height: int
    size_bytes: int


def degraded(image: tuple[bytes, str, str]) -> Encoded:
    """What :func:`freeze` makes of an image, without the image."""
    png, content_hash, version = image
    pixels = degrade(decode_own(png), content_hash, version)
    height, width = pixels.shape[:2]
    return Encoded(width, height, len(encode(pixels)))


def tile(image: tuple[bytes, int]) -> tuple[int, int, bytes]:
    """A stored image made to fit into a square of so many pixels: width, height and RGB bytes."""
    png, side = image
    picture = Image.fromarray(decode_own(png))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture.width, picture.height, picture.tobytes()


def thumbnail_of(png: bytes) -> bytes:
    """The bytes of the thumbnail of a stored image."""
    return thumbnail(decode_own(png)).tobytes()


def read_content(content: Path | bytes) -> bytes:
    """The bytes of a file: at most one more than the limit, which is enough for the decoder to refuse it.

    Raises ``DataError('image_broken')`` for what is not a plain, readable file.
    """
    if isinstance(content, bytes):
        return content
    try:
        # A pipe or a device would block or never end.
        if not stat.S_ISREG(content.stat().st_mode):
            raise DataError("image_broken", "This is not a plain file.")
        with content.open("rb") as file:
            return file.read(LIMITS.max_bytes + 1)
    except OSError as error:
        raise DataError("image_broken", f"The file can't be read: {error.strerror}.") from error
