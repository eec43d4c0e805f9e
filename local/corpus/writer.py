"""Writes the simulated corpus as a folder that ``manage.py import_corpus`` takes.

Every image is made from its own seed, so the folder is the same, byte for byte, whatever
the number of workers. The n-th generated and the n-th real image of a split share the
camera, the size and the JPEG quality: neither the container nor the encoder can tell the
label. They never share the scene, or a detector could look up what it has seen.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from local.corpus.camera import CAMERAS, SCENE_SCALE, photograph
from local.corpus.generators import FAMILIES, Family
from local.corpus.scene import Image, render

# Raise it when the same parameters give other images.
CORPUS_VERSION = 1
SPARE_REALS = 0.05
JPEG_QUALITY = (85, 98)
GRID = 16  # sides are multiples of the coarsest grid a family works on
SMALLEST_SIDE = 64
MARKER = "corpus.json"
CHUNK = 8

Progress = Callable[[int, int], None]


class Split(StrEnum):
    TRAIN = "train"
    EVAL = "eval"


class Stream(IntEnum):
    """What random numbers are for."""

    QUALITY = 1
    REAL = 2
    GENERATED = 3


@dataclass(frozen=True)
class Parameters:
    """All that decides the corpus. ``train`` and ``eval`` count the images of a generator."""

    families: int
    train: int
    eval: int
    side: int
    seed: int
    version: int = CORPUS_VERSION

    def __post_init__(self) -> None:
        if not 1 <= self.families <= len(FAMILIES):
            raise ValueError(f"families is {self.families}; there are 1 to {len(FAMILIES)}")
        if self.train < 1 or self.eval < 1:
            raise ValueError(f"images per split are {self.train} and {self.eval}; both must be at least 1")
        if self.side < SMALLEST_SIDE or self.side % GRID:
            raise ValueError(
                f"side is {self.side}; it must be a multiple of {GRID} and at least {SMALLEST_SIDE}"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")

    def per_generator(self, split: Split) -> int:
        return self.train if split is Split.TRAIN else self.eval


@dataclass(frozen=True)
class Job:
    """One image to make: the ``position``-th of its class in its split; no family means real."""

    split: Split
    position: int
    family: Family | None

    @property
    def folder(self) -> Path:
        if self.family:
            return Path("generators", self.family.slug, self.split)
        return Path("reals", CAMERAS[self.position % len(CAMERAS)].slug, self.split)


def make_corpus(
    destination: Path,
    *,
    families: int | None = None,
    images_per_split: tuple[int, int] = (60, 40),
    side: int = 96,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Make the simulated corpus at ``destination``, unless it is there already.

    The first ``families`` families by release date (all by default) get
    ``images_per_split`` (training, evaluation) images of ``side``×``side`` pixels each, and
    as many reals, with 5 % to spare, come from the simulated cameras. ``progress`` is
    called with the number of images made and their total.

    The images are made beside ``destination`` and moved there when all are complete, so an
    interrupted call leaves nothing that looks finished. Raises ``ValueError`` for impossible
    parameters and ``FileExistsError`` when ``destination`` holds anything else.
    """
    train, evaluation = images_per_split
    parameters = Parameters(
        families=len(FAMILIES) if families is None else families,
        train=train,
        eval=evaluation,
        side=side,
        seed=seed,
    )
    jobs = list(plan(parameters))
    report = progress or (lambda _done, _total: None)
    if _is_made(destination, parameters):
        report(len(jobs), len(jobs))
        return
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in {job.folder for job in jobs}:
        (partial / folder).mkdir(parents=True)
    # Spawned, not forked: the caller may hold threads, connections and locks.
    with ProcessPoolExecutor(workers, get_context("spawn"), _use_one_thread) as pool:
        chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
        done = 0
        for made in pool.map(
            _write_images, *zip(*((partial, parameters, chunk) for chunk in chunks), strict=True)
        ):
            done += made
            report(done, len(jobs))
    _write_descriptions(partial, parameters)
    partial.replace(destination)


def plan(parameters: Parameters) -> Iterator[Job]:
    """Every image of the corpus. Fewer families give a subset, image by image the same."""
    for split in Split:
        count = parameters.per_generator(split)
        fakes = count * parameters.families
        for position in range(fakes):
            yield Job(split, position, FAMILIES[position // count])
        for position in range(fakes + math.ceil(SPARE_REALS * fakes)):
            yield Job(split, position, None)


def make_image(parameters: Parameters, job: Job) -> bytes:
    """The JPEG file of one job: a scene, a camera, the family's trace if any, the encoder."""
    stream = Stream.GENERATED if job.family else Stream.REAL
    rng = random_stream(parameters, job.split, job.position, stream)
    scene = render(rng, SCENE_SCALE * parameters.side)
    image = photograph(scene, CAMERAS[job.position % len(CAMERAS)], rng)
    if job.family:
        image = job.family.trace(image, rng)
    return encode(image, jpeg_quality(parameters, job.split, job.position))


def jpeg_quality(parameters: Parameters, split: Split, position: int) -> int:
    """The quality, 85 to 98, that the real and the generated image at a position share."""
    rng = random_stream(parameters, split, position, Stream.QUALITY)
    return int(rng.integers(*JPEG_QUALITY, endpoint=True))


def random_stream(parameters: Parameters, split: Split, position: int, stream: Stream) -> np.random.Generator:
    """The random numbers of one ``stream`` at one position."""
    return np.random.default_rng([parameters.seed, list(Split).index(split), position, stream])


def encode(image: Image, quality: int) -> bytes:
    """Gamma-encoded RGB in [0, 1] (clipped) as a baseline 4:2:0 JPEG without metadata."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    encoded = io.BytesIO()
    Pillow.fromarray(pixels).save(encoded, "JPEG", quality=quality, subsampling="4:2:0")
    return encoded.getvalue()


def _use_one_thread() -> None:
    # Workers share the cores already.
    cv2.setNumThreads(0)


def _write_images(root: Path, parameters: Parameters, jobs: list[Job]) -> int:
    for job in jobs:
        encoded = make_image(parameters, job)
        name = hashlib.sha256(encoded).hexdigest()[:32]
        (root / job.folder / f"{name}.jpg").write_bytes(encoded)
    return len(jobs)


def _is_made(destination: Path, parameters: Parameters) -> bool:
    if not destination.exists() or not any(destination.iterdir()):
        return False
    marker = destination / MARKER
    made = json.loads(marker.read_text())["parameters"] if marker.exists() else None
    if made != asdict(parameters):
        raise FileExistsError(
            f"{destination} holds {'a corpus made with ' + str(made) if made else 'other files'}, "
            f"not one made with {asdict(parameters)}; remove it or name another folder"
        )
    return True


def _write_descriptions(root: Path, parameters: Parameters) -> None:
    families = FAMILIES[: parameters.families]
    with (root / "generators.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["slug", "name", "family", "release_date", "source", "licence"])
        for family in families:
            writer.writerow(
                [
                    family.slug,
                    family.name,
                    family.kind,
                    family.release_date.isoformat(),
                    f"simulated: {family.mechanism}",
                    "CC0-1.0",
                ]
            )
    (root / "README.txt").write_text(_readme(families))
    marker = {
        "slug": "simulated",
        "name": "Simulated corpus",
        "simulated": True,
        "description": (
            f"Simulated: {len(families)} generator families, each the trace of a documented mechanism on "
            "procedurally made scenes. It shows how the benchmark works, not how good a detector is."
        ),
        "parameters": asdict(parameters),
    }
    (root / MARKER).write_text(json.dumps(marker, indent=1) + "\n")


def _readme(families: tuple[Family, ...]) -> str:
    lines = [
        "SIMULATED CORPUS",
        "",
        'No image here was taken by a camera or made by a generator. The "real" images are',
        'procedural scenes seen through simulated cameras; the "generated" ones are other such',
        "scenes that carry the trace of one documented mechanism. The release dates only give",
        "an order. A score on this corpus says nothing about a detector's worth.",
        "",
        "Generator families",
        *(f"  {family.slug:<20} {family.name}: {family.mechanism}" for family in families),
        "",
        "Sources of real images",
        *(f"  {camera.slug:<20} {camera.name}" for camera in CAMERAS),
        "",
        "Dedicated to the public domain (CC0-1.0).",
    ]
    return "\n".join(lines) + "\n"
