"""The picture of samples that a batch gets."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image as Pillow

from evaluator.data.contact_sheet import GAP, TILE, contact_sheet
from evaluator.data.sources import SourceFile
from leaderboard.models import Batch
from leaderboard.store import Store
from tests.evaluator.data.conftest import silent, take
from tests.evaluator.data.images import file_of

NewBatch = Callable[[str], Batch]


def plain(colour: int, height: int = 64, width: int = 64) -> bytes:
    return file_of(np.full((height, width, 3), (colour, 0, 0), dtype=np.uint8))


def opened(objects: Store, key: str) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(objects.read_bytes(key)))
    assert (image.format, image.mode) == ("WEBP", "RGB")
    return image


def test_training_images_alone_are_shown(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")
    rows = [SourceFile(f"t{n}", plain(n), "train") for n in range(100, 160)]
    rows += [SourceFile(f"e{n}", plain(n), "eval") for n in range(200, 250)]
    take(batch, rows)
    key = contact_sheet(batch, silent)
    sheet = np.asarray(opened(objects, key))
    pitch = TILE + GAP
    assert sheet.shape == (6 * pitch + GAP, 8 * pitch + GAP, 3)
    # Small images are not enlarged; each tile shows one of the training images, and each another.
    middles = sheet[GAP + TILE // 2 :: pitch, GAP + TILE // 2 :: pitch, 0].ravel().astype(int)
    assert len(middles) == 48
    assert middles.max() < 165
    assert len(set(middles // 2)) > 20
    assert contact_sheet(batch, silent) == key


def test_few_and_odd_images(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")
    take(batch, [SourceFile("wide", plain(250, 40, 4000), "train"), SourceFile("e", plain(1), "eval")])
    sheet = opened(objects, contact_sheet(batch, silent))
    assert sheet.size == (TILE + 2 * GAP, TILE + 2 * GAP)
    assert np.asarray(sheet)[GAP + TILE // 2, GAP + TILE // 2, 0] > 150
    other = fake_batch("evaluated")
    take(other, [SourceFile("e", plain(2), "eval")])
    assert contact_sheet(other, silent) == ""
