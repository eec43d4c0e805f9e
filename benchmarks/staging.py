"""Time to stage an evaluation set of 1,000 and of 100,000 images, and to keep and restore 1 GiB of state.

    python -m benchmarks.staging

Images are 32×32 PNGs, written by the code that writes real sets: staging makes one hard link for
every 16,384 images, whatever they weigh. Copying the same files is timed beside it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import django
import numpy as np

SIZES = (1_000, 100_000)
REPEATS = 31
STATE_BYTES = 2**30


def measure(action: Callable[[Path], object], folder: Path, repeats: int) -> float:
    """Median milliseconds of ``action`` on a folder that does not exist yet."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action(folder)
        times.append(1000 * (time.perf_counter() - start))
        shutil.rmtree(folder)
    return statistics.median(times)


def copy(folder: Path, sources: list[Path]) -> None:
    folder.mkdir()
    for source in sources:
        shutil.copyfile(source, folder / source.name)


def silent(share: float, activity: str) -> None:
    pass


def staging(root: Path) -> None:
    from evaluator.data.datasets import write_files
    from evaluator.data.encode import encode
    from evaluator.data.evaluation import EvalSet
    from evaluator.data.staging import stage_eval
    from leaderboard.store import store
    from protocols.contract import EVAL_COLUMNS

    png = encode(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    linked = []
    for n_images in SIZES:
        rows = ((png, f"{number:032x}") for number in range(n_images))
        files = write_files(store(), EVAL_COLUMNS, rows, n_images, silent)
        images = EvalSet("0" * 64, tuple(files), n_images)

        linked.append(measure(partial(stage_eval, eval_set=images), root / "stage", REPEATS))
        sources = [store().path(file) for file in files]
        copied = measure(partial(copy, sources=sources), root / "copy", 3)
        print(
            f"staging {n_images:>7,} images in {len(files):>2} files: "
            f"{linked[-1]:.2f} ms linked, {copied:.1f} ms copied"
        )
    print(f"100 times the images cost {linked[1] / linked[0]:.1f} times as much")


def snapshots(root: Path) -> None:
    from evaluator.data.snapshots import restore_state, save_state
    from leaderboard.models.benchmarks import default_budgets
    from protocols.contract import Budget

    budget = Budget(**default_budgets()["train"])  # type: ignore[arg-type]
    state = root / "state"
    state.mkdir()
    block = np.random.default_rng(0).bytes(2**24)
    with (state / "checkpoint.pt").open("wb") as file:
        for number in range(STATE_BYTES // len(block)):
            file.write(number.to_bytes(8) + block[8:])
    start = time.perf_counter()
    state_hash, size_bytes = save_state(state, budget, had_state=False)
    print(f"keeping {size_bytes / 2**30:.0f} GiB of state: {time.perf_counter() - start:.2f} s")
    for writable, name in ((True, "for training (copied)"), (False, "for prediction (linked)")):
        restore = partial(restore_state, state_hash, writable=writable)
        duration = measure(restore, root / "restored", 3)
        print(f"restoring it {name}: {duration:.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as name:
        os.environ["TIDEMARK_HOME"] = name
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
        django.setup()
        staging(Path(name))
        snapshots(Path(name))


if __name__ == "__main__":
    main()
