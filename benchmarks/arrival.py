"""What an arrival costs with 200 detectors on the board, next to running everything again.

    python -m benchmarks.arrival [DETECTORS]

Real PostgreSQL, store, images, planning, claims, staging, reading of predictions and scoring. Only the
containers are recorded: in their place a function writes a state, or a score for every staged image.
So what is timed is the platform's own part; the ratio of container work is counted in images.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import django

N_DETECTORS = 200
N_GENERATORS = 12


def main() -> None:
    from local.postgres import Postgres

    n_detectors = int(sys.argv[1]) if len(sys.argv) > 1 else N_DETECTORS
    with ExitStack() as parts:
        home = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        postgres = parts.enter_context(Postgres(home / "postgres"))
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "DATABASE_URL": postgres.url,
            "LOG_LEVEL": "ERROR",
            "TIDEMARK_HOME": str(home),
            # Nobody listens there: the queue of record is PostgreSQL, and wake-ups may be lost.
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
        django.setup()
        measure(n_detectors)


def measure(n_detectors: int) -> None:
    from django.core.management import call_command

    from evaluator import steps
    from leaderboard import queue
    from leaderboard.models import Step
    from leaderboard.services.corpora import batch_create
    from leaderboard.services.generators import generator_create
    from leaderboard.services.publication import batch_publish
    from tests.evaluator.world import ingest_sealed, make_world

    call_command("migrate", verbosity=0)
    # A message to a broker that is away costs its time-out, which is not what is measured.
    queue.send_wake_up = lambda *_: True
    steps._run_container = recorded
    benchmark = make_world(N_GENERATORS, generators_per_window=4)
    began = time.perf_counter()
    enter(benchmark, n_detectors)
    print(f"{n_detectors} detectors planned on 3 windows in {time.perf_counter() - began:.1f} s")
    everything = work_off()
    images_before = recorded.images

    generator = generator_create(
        corpus=benchmark.corpus, slug="new", name="New", release_date=date(2030, 1, 1)
    )
    batch = batch_create(corpus=benchmark.corpus, generator=generator)
    ingest_sealed(batch)
    known = Step.objects.count()
    began = time.perf_counter()
    batch_publish(batch, actor="benchmark")
    published_s = time.perf_counter() - began
    queued = Step.objects.filter(state="ready").count()
    created = Step.objects.count() - known
    print(f"published: {created} steps created and {queued} of them queued in {published_s:.2f} s")
    recorded.images = 0
    arrival = work_off()
    print(f"{'':28} {'steps':>6} {'median':>9} {'together':>10} {'images':>10}")
    for label, seconds, images in (
        ("the arrival", arrival, recorded.images),
        ("everything, once", everything, images_before),
    ):
        print(
            f"{label:<28} {len(seconds):>6} {1000 * statistics.median(seconds):>6.0f} ms "
            f"{sum(seconds):>8.1f} s {images:>10,}"
        )
    print(
        f"running everything again would be {len(everything) / len(arrival):.1f} × the steps, "
        f"{sum(everything) / sum(arrival):.1f} × the platform's time, "
        f"{images_before / recorded.images:.1f} × the images in containers"
    )


def enter(benchmark: Any, n_detectors: int) -> None:
    from django.utils import timezone

    from leaderboard.models import Submission, User
    from leaderboard.selectors.timelines import newest_edition
    from leaderboard.services.runs import run_create
    from leaderboard.services.teams import personal_team

    owner = User.objects.create(username="bench")
    team = personal_team(owner)
    edition = newest_edition(benchmark)
    for number in range(n_detectors):
        submission = Submission.objects.create(
            owner=owner,
            team=team,
            benchmark=benchmark,
            name=f"detector {number}",
            state="accepted",
            image_id=f"sha256:{number:064x}",
            archive="0" * 64,
            phases=["train", "predict"],
            sealed_at=timezone.now(),
            accepted_at=timezone.now(),
        )
        run_create(submission, edition, seed=0)


def work_off() -> list[float]:
    """Do everything that is ready as one worker; the seconds of each step from its claim to its score."""
    from evaluator.lease import held
    from evaluator.steps import run_step
    from evaluator.worker import Worker
    from leaderboard.services import leases

    worker = Worker("bench", (), None, None)
    seconds = []
    while True:
        began = time.perf_counter()
        step = leases.claim_step("bench")
        if step is None:
            return seconds
        with held(step) as lease:
            run_step(step, lease, worker)
        step.refresh_from_db()
        assert step.state == "succeeded", (step, step.error_detail)
        seconds.append(time.perf_counter() - began)


def recorded(step: Any, _lease: Any, _worker: Any, folder: Path, *, n_images: int) -> None:
    """What a container would leave: a state that names its window, or a score for every image."""
    from datasets import load_from_disk

    recorded.images += n_images
    if step.phase == "train":
        (folder / "state" / "weights").write_text(f"window {step.window} of {step.run.submission.image_id}")
        return
    ids = load_from_disk(str(folder / "data"))["image_id"]
    (folder / "output").mkdir()
    rows = (f"{image_id},{int(image_id[:8], 16) / 2**32}\n" for image_id in ids)
    (folder / "output" / "predictions.csv").write_text("image_id,score\n" + "".join(rows))


recorded.images = 0  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
