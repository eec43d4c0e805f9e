"""A ``/bench`` of small synthetic images, written with the ``datasets`` package as anybody would."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from protocols.contract import Budget, Phase, StepRequest

MIB = 1 << 20
BUDGET = Budget(
    timeout_s=300,
    memory_bytes=2048 * MIB,
    cpus=2,
    pids=256,
    shm_bytes=64 * MIB,
    tmp_bytes=64 * MIB,
    state_bytes=64 * MIB,
    output_bytes=2 * MIB,
    log_bytes=256 * 1024,
)
IMAGE = {"image": datasets.Image(), "image_id": datasets.Value("string")}
LABELLED = {
    "label": datasets.ClassLabel(names=["real", "fake"]),
    "generator": datasets.Value("string"),
    "window": datasets.Value("int64"),
}
# Sets hold images of several sizes and shapes.
SHAPES = ((28, 28), (40, 24), (21, 33))


def picture(rng: np.random.Generator, fake: bool, shape: tuple[int, int]) -> bytes:
    """A PNG: smooth noise; a fake one is up-sampled by two with nearest neighbours."""
    height, width = shape
    grain = rng.normal(0, 28, (height, width, 3)) + 128 + 40 * np.sin(np.arange(width) / 9)[None, :, None]
    if fake:
        grain = grain[::2, ::2].repeat(2, 0).repeat(2, 1)[:height, :width]
    buffer = io.BytesIO()
    Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def rows(n_images: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Labels, alternating, and PNGs."""
    rng = np.random.default_rng(seed)
    for i in range(n_images):
        yield i % 2, picture(rng, bool(i % 2), SHAPES[i // 2 % len(SHAPES)])


def write_training(folder: Path, n_images: int, window: int) -> None:
    samples = list(rows(n_images, seed=window))
    columns = {
        "image": [{"bytes": png, "path": None} for _, png in samples],
        "image_id": [f"train-{window}-{i}" for i in range(n_images)],
        "label": [label for label, _ in samples],
        "generator": [f"generator-{window}" if label else "" for label, _ in samples],
        "window": [window] * n_images,
    }
    features = datasets.Features(IMAGE | LABELLED)
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder)


def write_evaluation(folder: Path, n_images: int) -> list[int]:
    """Write the images, several files of them, and return their labels in order."""
    samples = list(rows(n_images, seed=1000))
    columns = {
        "image": [{"bytes": png, "path": None} for _, png in samples],
        "image_id": [f"eval-{i}" for i in range(n_images)],
    }
    features = datasets.Features(IMAGE)
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder, num_shards=3)
    return [label for label, _ in samples]


def write_request(path: Path, phase: Phase, window: int, n_images: int, budget: Budget, seed: int) -> None:
    path.write_text(StepRequest(phase, window, seed, "test", n_images, budget).to_json())


def read_predictions(path: Path) -> tuple[Sequence[str], list[float]]:
    """The image ids and scores of a predictions.csv."""
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    return [row["image_id"] for row in read], [float(row["score"]) for row in read]
