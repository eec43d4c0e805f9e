"""What the platform adds to a step: from its claim to the container's start, and from its end to the score.

    python -m benchmarks.steps

A real run of a small detector that reads its images with the kit, on this machine's engine, an
embedded PostgreSQL and the store of a temporary folder. The container's start and end are the
engine's own times, so what the engine needs to create and to remove it counts as the platform's.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import django

RUNS = 3


def main() -> None:
    from local.engine import container_engine
    from local.images import ensure_detector
    from local.postgres import Postgres

    with ExitStack() as parts:
        home = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        engine = parts.enter_context(container_engine(home / "engine"))
        base = ensure_detector(engine, "constant")
        postgres = parts.enter_context(Postgres(home / "postgres"))
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "DATABASE_URL": postgres.url,
            "DOCKER_HOST": engine.docker_host,
            "LOG_LEVEL": "ERROR",
            "TIDEMARK_HOME": str(home),
            "TIDEMARK_INSTANCE": "benchmark",
        }
        django.setup()
        measure(base, home)


def measure(base: str, home: Path) -> None:
    from django.core.management import call_command
    from django.db import connection

    from evaluator.lease import held
    from evaluator.steps import run_step
    from evaluator.tasks import work_off
    from evaluator.worker import connected
    from leaderboard.services import leases
    from sandbox import runner
    from tests.evaluator.world import make_archive, make_world, submit

    call_command("migrate", verbosity=0)
    ended = watch(runner)
    before, after, ran = [], [], []
    with connected("benchmark") as worker:
        archive = make_archive(worker.client, base, home / "diary.tar")
        benchmark = make_world()
        # The first run makes the shared data and loads the image, which later ones find in place.
        submit(benchmark, archive, "warm-up", seed=100 + RUNS)
        work_off("benchmark")
        for seed in range(RUNS):
            submission = submit(benchmark, archive, f"run {seed}", seed=seed)
            accept(submission, worker)
            n_steps = submission.runs.get().steps.count()
            for _ in range(n_steps):
                claiming = time.time()
                step = leases.claim_step("benchmark")
                assert step is not None, "a step failed, so those after it were cancelled"
                with held(step) as lease:
                    run_step(step, lease, worker)
                done = time.time()
                before.append(moment(ended["StartedAt"]) - claiming)
                ran.append(moment(ended["FinishedAt"]) - moment(ended["StartedAt"]))
                after.append(done - moment(ended["FinishedAt"]))
    connection.close()
    print(f"{len(before)} steps, medians (slowest):")
    for label, values in (
        ("claim to container start", before),
        ("container", ran),
        ("container end to scored", after),
    ):
        print(f"  {label:<26} {statistics.median(values):6.2f} s ({max(values):.2f} s)")
    overhead = statistics.median(b + a for b, a in zip(before, after, strict=True))
    print(f"  {'the platform, together':<26} {overhead:6.2f} s")


def accept(submission: Any, worker: Any) -> None:
    """Check the archive and try the detector as a worker does, so that what is left are steps alone."""
    from evaluator.lease import held
    from evaluator.submissions import check_submission
    from evaluator.trials import run_submission_trial
    from leaderboard.models import Submission
    from leaderboard.services import leases

    claimed = leases.claim_check(Submission, "benchmark")
    assert claimed == submission, claimed
    with held(claimed) as lease:
        check_submission(claimed, lease)
    claimed = leases.claim_trial("benchmark")
    assert claimed == submission, claimed
    with held(claimed) as lease:
        run_submission_trial(claimed, lease, worker)


def watch(runner: Any) -> dict[str, Any]:
    """The last state that the runner read from the engine: after a run, how its container ended."""
    seen: dict[str, Any] = {}
    read: Callable[[Any], dict[str, Any]] = runner._state

    def spy(container: Any) -> dict[str, Any]:
        seen.update(state := read(container))
        return state

    runner._state = spy
    return seen


def moment(text: str) -> float:
    """Seconds since the epoch of an engine's time stamp, which has nanoseconds."""
    head, _, rest = text.partition(".")
    digits = "".join(c for c in rest if c.isdigit() or c in "+-:Z")
    fraction, zone = digits[:6], digits[9:] or "Z"
    return datetime.fromisoformat(f"{head}.{fraction}{zone}").timestamp()


if __name__ == "__main__":
    main()
