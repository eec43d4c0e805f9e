"""A small benchmark with real images, and a detector image whose behaviour tests choose by the seed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from django.db.models import QuerySet
from docker.client import DockerClient
from PIL import Image as PillowImage

from evaluator.data.ingest import ingest
from evaluator.data.sources import SourceFile, SplitName
from leaderboard.models import Batch, Benchmark, Corpus, Generator, Prediction, Submission, User
from leaderboard.services import (
    benchmarks,
    corpora,
    editions,
    generators,
    publication,
    submissions,
    uploads,
)
from leaderboard.services.leases import check_start
from leaderboard.services.teams import personal_team
from protocols.contract import LABEL_CONTRACT, LABEL_PHASES

N_TRAIN, N_EVAL = 6, 5
GIB, MIB = 2**30, 2**20

# The detector writes what it saw into its state. Its seed says how it behaves: 0 at once,
# 1 to 99 it trains that many seconds from window 1 on, 100 it fails at window 1, from 200 on it takes
# the seconds above 200 to predict a single generator, and else it is as 0.
DETECTOR = """
import time
from tidemark_kit import Detector, progress, run

class Diary(Detector):
    lines = ()
    def load(self, state):
        self.lines = tuple((state / "diary").read_text().splitlines())
    def train(self, window):
        seed = self.request.seed
        self.lines += (f"{window.index} {len(window)} {sum(window.labels)}",)
        print("training", window.index, flush=True)
        if window.index >= 1 and seed == 100:
            raise SystemExit(3)
        for tenth in range(10 * seed if window.index >= 1 and seed < 100 else 0):
            time.sleep(0.1)
            progress(tenth / (10 * seed))
    def save(self, state):
        (state / "diary").write_text("\\n".join(self.lines))
    def predict(self, images):
        print("predicting", images.ids[0], flush=True)
        if len(images.ids) == 10:
            time.sleep(max(0, self.request.seed - 200))
        return [int(i, 16) % 1000 / 1000 for i in images.ids]

run(Diary)
"""


def budgets(**train: float) -> dict[str, dict[str, float]]:
    common = {
        "timeout_s": 120.0,
        "memory_bytes": GIB,
        "cpus": 1.0,
        "pids": 64,
        "shm_bytes": 64 * MIB,
        "tmp_bytes": 64 * MIB,
        "state_bytes": 16 * MIB,
        "output_bytes": 16 * MIB,
        "log_bytes": MIB,
        "gpus": 0,
    }
    return {"train": common | train, "predict": common}


def make_archive(
    client: DockerClient, base: str, path: Path, *, phases: str = "train,predict", detector: str = DETECTOR
) -> Path:
    """Save a detector (the diary) on top of an image that has the kit, as a docker archive."""
    name = f"localhost/tidemark/test-{path.stem}"
    container = client.containers.create(base, command=["train"])
    try:
        entrypoint = json.dumps(["python3", "-c", detector])
        changes = [
            f"ENTRYPOINT {entrypoint}",
            "CMD []",
            f"LABEL {LABEL_CONTRACT}=1",
            f"LABEL {LABEL_PHASES}={phases}",
        ]
        image = container.commit(name, changes=changes)
    finally:
        container.remove()
    with path.open("wb") as file:
        for chunk in client.images.get(name).save(named=True):
            file.write(chunk)
    client.images.remove(name, force=True)
    assert image.id
    return path


def make_world(
    n_generators: int = 4, *, mode: str = "cumulative", generators_per_window: int = 2, **train_budget: float
) -> Benchmark:
    """A benchmark with windows of two generators (or more), ingested from PNG files, its edition open."""
    corpus = corpora.corpus_create(slug="world", name="World", simulated=True)
    reals = corpora.batch_create(corpus=corpus, real_source="camera")
    fill(reals, 2 * n_generators)
    for n in range(n_generators):
        generator = generators.generator_create(
            corpus=corpus, slug=f"g{n}", name=f"G{n}", release_date=date(2020 + n // 12, 1 + n % 12, 1)
        )
        fill(corpora.batch_create(corpus=corpus, generator=generator), 1)
    benchmark = benchmarks.benchmark_create(
        slug="world",
        name="World",
        corpus=corpus,
        generators_per_window=generators_per_window,
        training_mode=mode,
        budgets=budgets(**train_budget),
    )
    editions.edition_open(benchmark)
    return benchmark


def arrive(benchmark: Benchmark, slug: str, released: date) -> Generator:
    """A generator is registered, ingested from real files and published."""
    generator = generators.generator_create(
        corpus=benchmark.corpus, slug=slug, name=slug.upper(), release_date=released
    )
    fill(corpora.batch_create(corpus=benchmark.corpus, generator=generator), 1)
    return generator


def fill(batch: Batch, times: int) -> None:
    """Ingest, seal and publish ``times`` the usual number of distinct noise images."""
    ingest_sealed(batch, times)
    publication.batch_publish(batch)


def ingest_sealed(batch: Batch, times: int = 1) -> None:
    check_start(batch, "tests")
    ingest(batch, list(_files(batch, times)), progress=lambda *_: None, should_stop=lambda: False)
    corpora.batch_seal(batch)


def _files(batch: Batch, times: int) -> Iterator[SourceFile]:
    rng = np.random.default_rng(int(batch.pk))
    splits: list[tuple[SplitName, int]] = [("train", N_TRAIN), ("eval", N_EVAL)]
    for split, n in splits:
        for number in range(n * times):
            buffer = io.BytesIO()
            PillowImage.fromarray(rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
            yield SourceFile(f"{split}/{number}.png", buffer.getvalue(), split)


def submit(benchmark: Benchmark, archive: Path, name: str, *, seed: int = 0) -> Submission:
    """Upload an archive as its owner would, and queue its check."""
    owner, _ = User.objects.get_or_create(username="owner")
    submission = submissions.submission_create(
        owner=owner, team=personal_team(owner), benchmark=benchmark, name=name, seed=seed
    )
    upload = uploads.upload_create(
        owner=owner, team=personal_team(owner), length=archive.stat().st_size, filename=archive.name
    )
    with archive.open("rb") as file:
        uploads.upload_append(upload, offset=0, stream=file)
    return submissions.submission_attach(submission, upload, actor=owner)


def predictions() -> QuerySet[Prediction]:
    """Those of detectors: workers also make some for the server's null rows."""
    return Prediction.objects.filter(step__run__submission__null_row="")


def corpus() -> Corpus:
    return Corpus.objects.get(slug="world")
