"""The public sample: a few dozen small images on which a trial trains and predicts.

They are drawn here, by whole numbers alone, so they are the same bytes wherever they are drawn, nobody
has a right in them, and everybody may see what a detector prints about them. The "reals" are smooth
shapes under the grain of a sensor; two made-up generators leave the marks that real ones have
left: one enlarges a small picture, the other lays a grid over it. The sample shows that a detector
works, and tells nothing about how well.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocols.contract import EVAL_COLUMNS, TRAIN_COLUMNS
from sandbox.datasets import write_dataset

VERSION = 1
N_REALS, N_FAKES = 12, 6
# Of all shapes that a benchmark may bring, the smallest first.
SIZES = ((32, 40), (224, 224), (256, 192), (160, 240), (97, 131), (320, 256))

# The most that one uncompressed block of a zlib stream holds.
_STORED_BYTES = 0xFFFF

Pixels = NDArray[np.uint8]
_Values = NDArray[np.int64]


@dataclass(frozen=True)
class SampleImage:
    """An image of the sample; ``generator`` is empty and ``label`` 0 for a "real" one."""

    image_id: str
    png: bytes
    label: int
    generator: str


def write_train(destination: Path) -> int:
    """Make ``destination`` the ``/bench/train`` of the first window; returns the number of images."""
    images = draw("train")
    rows = [(image.png, image.image_id, image.label, image.generator, 0) for image in images]
    write_dataset(destination, TRAIN_COLUMNS, rows, f"sample {VERSION} train")
    return len(images)


def write_eval(destination: Path) -> list[str]:
    """Make ``destination`` the ``/bench/eval`` of the sample; returns the ids of its images."""
    images = draw("eval")
    write_dataset(
        destination, EVAL_COLUMNS, [(image.png, image.image_id) for image in images], f"sample {VERSION} eval"
    )
    return [image.image_id for image in images]


def draw(split: str) -> list[SampleImage]:
    """The images of ``train`` or ``eval``, in the order of their ids, as a benchmark mixes them."""
    drawn = []
    for generator, count in (("", N_REALS), ("sample-enlarger", N_FAKES), ("sample-gridder", N_FAKES)):
        for number in range(count):
            name = f"tidemark sample {VERSION} {split} {generator} {number}"
            png = encode(_picture(name, generator, *SIZES[number % len(SIZES)]))
            image_id = hashlib.sha256(f"{split} ".encode() + png).hexdigest()[:32]
            drawn.append(SampleImage(image_id, png, int(bool(generator)), generator))
    return sorted(drawn, key=lambda image: image.image_id)


def encode(pixels: Pixels) -> bytes:
    """PNG of ``pixels`` (H×W×3, RGB), uncompressed: every version of zlib compresses otherwise."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    raw = rows.tobytes()
    starts = range(0, len(raw), _STORED_BYTES)
    stored = b"".join(_stored(raw[start:][:_STORED_BYTES], last=start == starts[-1]) for start in starts)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(raw))),
            _chunk(b"IEND", b""),
        )
    )


def _stored(part: bytes, *, last: bool) -> bytes:
    return struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _picture(name: str, generator: str, height: int, width: int) -> Pixels:
    if generator == "sample-enlarger":
        # Half the size, every pixel twice: no detail beyond, as after an upsampling layer.
        small = _shapes(name, (height + 1) // 2, (width + 1) // 2)
        values = small.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    else:
        values = _shapes(name, height, width)
        if generator == "sample-gridder":
            rows, columns = np.indices((height, width))
            values = values + (6 * ((rows % 8 == 0) | (columns % 8 == 0)))[..., None]
        else:
            # The grain of a sensor.
            values = values + _noise(f"{name} grain", height, width) // 16 - 8
    return values.clip(0, 255).astype(np.uint8)


def _shapes(name: str, height: int, width: int) -> _Values:
    """Soft patches of colour in three sizes."""
    total = np.zeros((height, width, 3), np.int64)
    for share, cell in ((4, 32), (2, 16), (1, 8)):
        coarse = _noise(f"{name} {cell}", height // cell + 2, width // cell + 2)
        total += share * _enlarged(coarse, cell)[:height, :width]
    return total // 7


def _enlarged(coarse: _Values, cell: int) -> _Values:
    """Each value spread over ``cell`` × ``cell`` pixels, going over into its neighbours' linearly."""
    for axis in (0, 1):
        length = coarse.shape[axis] - 1
        here = coarse.take(range(length), axis).repeat(cell, axis)
        there = coarse.take(range(1, length + 1), axis).repeat(cell, axis)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        weight = np.tile(np.arange(cell), length).reshape(shape)
        coarse = (here * (cell - weight) + there * weight) // cell
    return coarse


def _noise(name: str, height: int, width: int) -> _Values:
    """Values from 0 to 255 that follow from ``name``, whatever the version of numpy."""
    raw = hashlib.shake_256(name.encode()).digest(height * width * 3)
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3).astype(np.int64)
