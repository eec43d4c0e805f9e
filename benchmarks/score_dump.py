"""Time to score a full-size dump (72,000 images × 9 windows), beside scikit-learn's way in the same run.

    python -m benchmarks.score_dump [--images 72000]

scikit-learn's way computes the same five periods of the same windows with the same
metrics, one function call a metric, as the official script does; it computes no intervals.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import metrics as sk

from protocols.periods import Period, window_range
from tidemark.dump import FILE_NAME, Dump, read_dump
from tidemark.score import Report, score

N_WINDOWS, N_GENERATORS = 9, 36


def write_dump(folder: Path, n_images: int) -> None:
    """Half fakes of 36 generators, half reals paired with them; float32 scores as in official dumps."""
    rng = np.random.default_rng(1)
    fakes = np.arange(n_images // 2) % N_GENERATORS + 1
    order = rng.permutation(2 * len(fakes))
    generator_ids = np.concatenate([fakes, np.zeros_like(fakes)])[order]
    partners = np.concatenate([np.full_like(fakes, -1), fakes])[order]
    names = np.array(["", *(f"generator {i:02}" for i in range(N_GENERATORS))])
    for window in range(N_WINDOWS):
        logits = rng.normal(np.where(generator_ids > 0, 1.5, -1.5), 1.5)
        (folder / f"window_{window}").mkdir()
        np.savez(
            folder / f"window_{window}" / FILE_NAME,
            fused_scores=(1 / (1 + np.exp(-logits))).astype(np.float32)[:, None],
            fused_generator_ids=generator_ids,
            fused_identifiers=np.arange(len(order)),
            pairing=partners,
            generator_id_to_name=names,
            windows_timeline=names[1:].reshape(N_WINDOWS, -1),
        )


def with_scikit_learn(dump: Dump) -> list[dict[str, Any]]:
    rows = []
    for step, scores in dump.scores.items():
        for period in Period:
            covered = window_range(period, step, dump.n_windows, paper_compatible=True)
            chosen = np.isin(dump.window_of, covered)
            if not chosen.any():
                continue
            labels, values = dump.labels[chosen], scores[chosen]
            predicted = (values > 0.5).astype(int)
            tn, fp, _, _ = sk.confusion_matrix(labels, predicted).ravel()
            rows.append(
                {
                    "window": step,
                    "period": period,
                    "roc_auc": sk.roc_auc_score(labels, values),
                    "average_precision": sk.average_precision_score(labels, values),
                    "accuracy": sk.accuracy_score(labels, predicted),
                    "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
                    "precision": sk.precision_score(labels, predicted),
                    "recall": sk.recall_score(labels, predicted),
                    "f1": sk.f1_score(labels, predicted),
                    "tnr": tn / (tn + fp),
                }
            )
    return rows


def check(report: Report, rows: list[dict[str, Any]]) -> float:
    """The largest difference between the two in any metric."""
    return max(
        abs(value - getattr(report.results[row["window"]][row["period"]].metrics, name))
        for row in rows
        for name, value in row.items()
        if name not in ("window", "period")
    )


def timed(action: Callable[[], Any], repeat: int) -> tuple[float, float, Any]:
    """The shortest wall and CPU time in seconds, and the last result."""
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        result = action()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=72_000)
    n_images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        write_dump(Path(name), n_images)
        load_s, load_cpu_s, dump = timed(lambda: read_dump(Path(name)), repeat=3)
    ours_s, ours_cpu_s, report = timed(lambda: score(dump), repeat=3)
    theirs_s, theirs_cpu_s, rows = timed(lambda: with_scikit_learn(dump), repeat=3)
    print(f"{n_images} images × {N_WINDOWS} windows × {len(Period)} periods    wall       CPU, best of 3")
    print(f"load                                  {load_s:8.3f} s {load_cpu_s:8.3f} s")
    print(f"compute, with DeLong's intervals      {ours_s:8.3f} s {ours_cpu_s:8.3f} s")
    print(f"scikit-learn, without                 {theirs_s:8.3f} s {theirs_cpu_s:8.3f} s")
    print(f"scikit-learn: {theirs_s / ours_s:.1f} × the wall, {theirs_cpu_s / ours_cpu_s:.1f} × the CPU time")
    print(f"largest difference in any metric: {check(report, rows):.1e}")


if __name__ == "__main__":
    main()
