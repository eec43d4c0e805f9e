"""The search for near duplicates: time for 5,000 images against 360,000, recall, and false pairs.

    python -m benchmarks.duplicates [FOLDER ...]

The pictures are those in the folders given, or else of a small simulated corpus. Each is planted
once in a version of its own (cropped, resized, encoded anew), which is searched for among the
originals and as many cut-outs of other pictures as make 360,000; then the other way round. False
pairs are those of two pictures, counted among the pictures given, all with all.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from evaluator.data.alignment import Floats, similarity
from evaluator.data.duplicates import Match, descriptors, near_duplicates
from evaluator.data.fingerprints import Pixels, thumbnail
from evaluator.data.pool import cpus
from tests.evaluator.data.planted import CROPS, version

N_KNOWN, N_NEW = 360_000, 5_000
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Cut-outs of a picture are other pictures: so small that none is a version of another or of the whole.
CUT_OUT = (0.4, 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="*", type=Path)
    folders = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as name:
        if not folders:
            folders = [simulated(Path(name, "corpus"))]
        measure(sorted(path for folder in folders for path in pictures(folder)))


def simulated(folder: Path) -> Path:
    from local.corpus.writer import make_corpus

    make_corpus(folder, families=4, images_per_split=(60, 40), side=128, workers=cpus())
    return folder


def pictures(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def measure(paths: list[Path]) -> None:
    with ProcessPoolExecutor(cpus()) as pool:
        originals = np.stack(list(pool.map(original, paths, chunksize=64)))
        n_cut_outs = -(-(N_KNOWN - len(paths)) // len(paths))
        others = np.concatenate(list(pool.map(partial(cut_outs, n=n_cut_outs), paths, chunksize=16)))
        known = np.concatenate([others[: N_KNOWN - len(paths)], originals])
        planted = {
            crop: np.stack(list(pool.map(partial(plant, crop=crop), paths, chunksize=16))) for crop in CROPS
        }
    known_vectors, described_s = timed(lambda: descriptors(known))
    print(f"{len(paths):,} pictures among {len(known):,}; describing all of them: {described_s:.1f} s")
    speed(known, known_vectors, np.concatenate(list(planted.values())))
    for crop, versions in planted.items():
        recall(crop, versions, known, known_vectors, len(known) - len(paths))
    false_pairs(originals)


def speed(known: Pixels, vectors: Floats, planted: Pixels) -> None:
    """A batch of which one image in a hundred is a version of a known one."""
    rng = np.random.default_rng(3)
    new = known[rng.choice(len(known), N_NEW)][:, ::-1].copy()
    new[: N_NEW // 100] = planted[rng.choice(len(planted), N_NEW // 100)]
    start, cpu = time.perf_counter(), time.process_time()
    found = search(new, known, vectors)
    print(
        f"{len(new):,} new pictures against {len(known):,}: {time.perf_counter() - start:.1f} s,"
        f" {time.process_time() - cpu:.1f} s of processor; {len({m.new for m in found})} have near duplicates"
    )


def recall(crop: str, versions: Pixels, known: Pixels, vectors: Floats, first: int) -> None:
    """The share of the versions that are found by their originals, from either side."""
    n = len(versions)
    forward = {m.new for m in search(versions, known, vectors) if m.known == first + m.new}
    # The other way round the versions are known, and the originals come in.
    known_versions = np.concatenate([known[:first], versions])
    version_vectors = np.concatenate([vectors[:first], descriptors(versions)])
    backward = {
        m.new for m in search(known[first:], known_versions, version_vectors) if m.known == first + m.new
    }
    print(
        f"cropped at {crop:<10} found {len(forward) / n:7.2%} of the versions by their originals,"
        f" {len(backward) / n:7.2%} of the originals by their versions"
    )


def false_pairs(originals: Pixels) -> None:
    """All with all: near pairs, and how near the most similar ones that are not near come."""
    vectors = descriptors(originals)
    n_pairs = len(originals) * (len(originals) - 1) // 2
    pieces = near_duplicates(originals, vectors, originals, vectors, same=True)
    found = [match for _, matches in pieces for match in matches]
    products = np.triu(vectors @ vectors.T, 1)
    rows, others = np.nonzero(products >= 0.8)
    values = np.sort(similarity(originals[rows], originals[others]))[::-1]
    print(
        f"{n_pairs:,} pairs of different pictures: {len(found)} near, {len(rows):,} looked at,"
        f" the most similar {', '.join(f'{value:.2f}' for value in values[:5])}"
    )


def search(new: Pixels, known: Pixels, vectors: Floats) -> list[Match]:
    pieces = near_duplicates(new, descriptors(new), known, vectors)
    return [match for _, matches in pieces for match in matches]


def timed(action: Callable[[], Floats]) -> tuple[Floats, float]:
    start = time.perf_counter()
    return action(), time.perf_counter() - start


def read(path: Path) -> Pixels:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.array(image.convert("RGB"))


def original(path: Path) -> Pixels:
    return thumbnail(read(path))


def plant(path: Path, crop: str) -> Pixels:
    rng = np.random.default_rng(list(f"{crop} {path.name}".encode()))
    return thumbnail(version(read(path), crop, rng))


def cut_outs(path: Path, n: int) -> Pixels:
    """``n`` parts of a picture, half of them mirrored."""
    pixels = read(path)
    rng = np.random.default_rng(list(path.name.encode()))
    found = []
    for _ in range(n):
        whole = np.array(pixels.shape[:2])
        height, width = size = (whole * rng.uniform(*CUT_OUT, 2)).round().astype(int)
        top, left = rng.integers(0, whole - size + 1)
        part = pixels[top : top + height, left : left + width]
        found.append(thumbnail(np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)))
    return np.stack(found)


if __name__ == "__main__":
    main()
