"""Images and hostile files for the tests."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def picture(seed: int, height: int = 48, width: int = 64) -> Pixels:
    """A smooth random image with some texture; another seed gives one that looks different."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


def file_of(image: Image.Image | Pixels, format: str = "PNG", **options: Any) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    sink = io.BytesIO()
    image.save(sink, format, **options)
    return sink.getvalue()


def png(seed: int) -> bytes:
    return file_of(picture(seed))


def png_with_size(width: int, height: int) -> bytes:
    """A valid, tiny PNG file that claims a size and holds no more than some zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunks_of(data: bytes) -> list[bytes]:
    """The kinds of the chunks of a PNG file, in order."""
    kinds, offset = [], 8
    while offset < len(data):
        (length,) = struct.unpack_from(">I", data, offset)
        kinds.append(data[offset + 4 : offset + 8])
        offset += 12 + length
    return kinds
