"""Time to compute all scores of a full-size detector from its predictions, beside scikit-learn.

    python -m benchmarks.score_run [--images 72000] [--repeats 5]

Nine checkpoints, 36 generators in nine windows: every generator's metrics, every period's, the
threshold of the past, the averages over time with their intervals over images and over generators.
It is what a server computes when scores are made anew, without its database. scikit-learn's way
computes of the same sets, one function call a metric, what it has functions for; it has no
intervals, no threshold of the past and no calibration error.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from benchmarks.score_dump import N_GENERATORS, N_WINDOWS, timed
from protocols.averages import RunAverage, averages
from protocols.evaluation import Checkpoint, PeriodResult, UnitResult
from protocols.periods import Period, window_range

PUBLISHED = (Period.NEXT, Period.PAST, Period.WHOLE)


@dataclass(frozen=True)
class Run:
    """The images, and their scores by each checkpoint."""

    labels: NDArray[np.int64]
    unit_of: NDArray[np.int64]
    window_of_unit: list[int]
    scores: list[NDArray[np.float64]]

    @property
    def window_of(self) -> NDArray[np.int64]:
        return np.array(self.window_of_unit)[self.unit_of]


@dataclass(frozen=True)
class Scored:
    units: list[list[UnitResult]]
    periods: list[dict[Period, PeriodResult]]
    averages: dict[Period, RunAverage]


def a_run(n_images: int) -> Run:
    """As many images of each class and generator; scores that a detector prints with six digits."""
    rng = np.random.default_rng(1)
    n_each = n_images // N_GENERATORS // 2
    labels = np.tile(np.repeat([1, 0], n_each), N_GENERATORS)
    scores = [
        (1 / (1 + np.exp(-rng.normal(3 * labels - 1.5, 1.5)))).round(6).astype(np.float64)
        for _ in range(N_WINDOWS)
    ]
    windows = [unit * N_WINDOWS // N_GENERATORS for unit in range(N_GENERATORS)]
    return Run(labels, np.repeat(np.arange(N_GENERATORS), 2 * n_each), windows, scores)


def compute(run: Run, periods: tuple[Period, ...]) -> Scored:
    """As ``leaderboard/services/scores.py`` does."""
    window_of = run.window_of
    checkpoints = [Checkpoint(run.labels, scores, window_of, step) for step, scores in enumerate(run.scores)]
    return Scored(
        [checkpoint.units(run.unit_of, N_GENERATORS) for checkpoint in checkpoints],
        [checkpoint.results(N_WINDOWS, periods=periods) for checkpoint in checkpoints],
        averages(checkpoints, run.unit_of, run.window_of_unit, N_WINDOWS, periods),
    )


def with_scikit_learn(run: Run, periods: tuple[Period, ...]) -> list[dict[str, float]]:
    rows = []
    window_of = run.window_of
    for step, scores in enumerate(run.scores):
        sets = [run.unit_of == unit for unit in range(N_GENERATORS)]
        for period in periods:
            covered = window_range(period, step, N_WINDOWS)
            sets.append((window_of >= covered.start) & (window_of < covered.stop))
        rows += [_metrics(run.labels[chosen], scores[chosen]) for chosen in sets if chosen.any()]
    return rows


def _metrics(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, float]:
    predicted = (scores > 0.5).astype(int)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    tn, fp, _, _ = sk.confusion_matrix(labels, predicted).ravel()
    return {
        "roc_auc": sk.roc_auc_score(labels, scores),
        "average_precision": sk.average_precision_score(labels, scores),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "precision": sk.precision_score(labels, predicted),
        "recall": sk.recall_score(labels, predicted),
        "f1": sk.f1_score(labels, predicted),
        "tnr": tn / (tn + fp),
        "brier": sk.brier_score_loss(labels, scores),
        "tpr_at_fpr_1": tpr[fpr <= 0.01].max(),
        "tpr_at_fpr_5": tpr[fpr <= 0.05].max(),
        "equal_error_rate": np.interp(0, fpr + tpr - 1, fpr),
        "best_balanced_accuracy": ((tpr + 1 - fpr) / 2).max(),
    }


def check(scored: Scored, rows: list[dict[str, float]]) -> float:
    """The largest difference between the two in any metric."""
    ours = [
        result.metrics
        for units, periods in zip(scored.units, scored.periods, strict=True)
        for result in (*units, *periods.values())
        if result.metrics.n_fake_images
    ]
    return max(
        abs(value - getattr(metrics, name))
        for metrics, row in zip(ours, rows, strict=True)
        for name, value in row.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=72_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    run = a_run(arguments.images)
    print(f"{len(run.labels)} images × {N_WINDOWS} windows, {N_GENERATORS} generators")
    for periods in (PUBLISHED, tuple(Period)):
        wall_s, cpu_s, scored = timed(lambda periods=periods: compute(run, periods), arguments.repeats)
        sk_wall_s, sk_cpu_s, rows = timed(lambda periods=periods: with_scikit_learn(run, periods), 2)
        print(f"{len(periods)} periods                            wall       CPU")
        print(f"all scores, both intervals     {wall_s:8.3f} s {cpu_s:8.3f} s, best of {arguments.repeats}")
        print(f"scikit-learn, what it has      {sk_wall_s:8.3f} s {sk_cpu_s:8.3f} s, best of 2")
        print(f"scikit-learn: {sk_wall_s / wall_s:.1f} × the wall, {sk_cpu_s / cpu_s:.1f} × the CPU time")
        print(f"largest difference in any metric: {check(scored, rows):.1e}")


if __name__ == "__main__":
    main()
