"""The sample is the same everywhere, and has the form of what a benchmark mounts."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from sandbox.sample import N_FAKES, N_REALS, SIZES, draw, encode, write_eval, write_train

# A change of the sample is a new VERSION of it, and these with it.
PIXELS = {
    "train": "e93df9156f8454219e6891b6312caab1f9f229379425c76aa99b5595c489a9c4",
    "eval": "b378dd31030e3e4553eae9c409c623a8e68525601ae34c1384320097aebc6f9e",
}
FILES = {
    "train": "4ab196299d9fa11e1ea954b9e2b83eae74866786a7e9cbf8f6112bae8f2e95f7",
    "eval": "320193b66f97029f18274c3cfe335e02a4befc05175a290b96ab342bffb31838",
}


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_same_images_wherever_they_are_drawn(split: str, tmp_path: Path) -> None:
    drawn = draw(split)
    assert hashlib.sha256(b"".join(image.png for image in drawn)).hexdigest() == PIXELS[split]
    (write_train if split == "train" else write_eval)(tmp_path / "data")
    (file,) = (tmp_path / "data").glob("*.arrow")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == FILES[split]


def test_reals_and_fakes_of_two_generators() -> None:
    for split in ("train", "eval"):
        images = draw(split)
        generators = sorted({image.generator for image in images})
        assert generators == ["", "sample-enlarger", "sample-gridder"]
        for generator in generators:
            of_it = [image for image in images if image.generator == generator]
            assert len(of_it) == (N_FAKES if generator else N_REALS)
            assert {image.label for image in of_it} == {int(bool(generator))}


def test_no_image_comes_twice_and_no_id_tells_anything() -> None:
    images = draw("train") + draw("eval")
    assert len({image.png for image in images}) == len(images)
    assert len({image.image_id for image in images}) == len(images)
    assert all(re.fullmatch("[0-9a-f]{32}", image.image_id) for image in images)
    labels = [image.label for image in draw("eval")]
    # The order is that of the ids, so neither class comes first.
    assert labels != sorted(labels)
    assert labels != sorted(labels, reverse=True)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pngs_that_every_reader_reads(height: int, width: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    png = encode(pixels)
    with Image.open(io.BytesIO(png)) as image:
        image.verify()
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)


def test_the_datasets_are_those_of_the_contract(tmp_path: Path) -> None:
    n_train = write_train(tmp_path / "train")
    ids = write_eval(tmp_path / "eval")
    train = datasets.load_from_disk(str(tmp_path / "train"))
    shown = datasets.load_from_disk(str(tmp_path / "eval"))
    assert len(train) == n_train == len(ids)
    assert train.column_names == ["image", "image_id", "label", "generator", "window"]
    assert train.features["label"].names == ["real", "fake"]
    assert set(train["window"]) == {0}
    assert shown.column_names == ["image", "image_id"]
    assert shown["image_id"] == ids
    assert shown[0]["image"].size in {(width, height) for height, width in SIZES}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "eval").iterdir()} == {0o444}
