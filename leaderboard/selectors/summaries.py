"""Benchmarks with those who lead on them, as the home page shows them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count

from leaderboard.models import Benchmark, Submission
from leaderboard.selectors.rows import BoardRow
from leaderboard.selectors.snapshots import Shown
from leaderboard.selectors.standing import top


@dataclass(frozen=True)
class BenchmarkSummary:
    """A benchmark with the detectors that lead its present board."""

    benchmark: Benchmark
    shown: Shown | None
    n_entries: int
    leaders: tuple[BoardRow, ...] = ()

    @property
    def n_generators(self) -> int:
        """How many generators its detectors are scored on."""
        return len(self.shown.snapshot.timelines.contacts.generators) if self.shown else 0


def benchmark_summaries(user: object) -> list[BenchmarkSummary]:
    """Every benchmark with the leaders of its present board, those that have some first.

    Two queries, and three for each benchmark.
    """
    visible = Submission.objects.visible_to(user).entered().filter(null_row="")
    n_entries: dict[int, int] = defaultdict(int)
    n_entries.update(visible.order_by().values_list("benchmark").annotate(n=Count("pk")))
    best = [top(benchmark) for benchmark in Benchmark.objects.select_related("corpus")]
    summaries = [BenchmarkSummary(b.benchmark, b.shown, n_entries[b.benchmark.pk], b.rows) for b in best]
    return sorted(summaries, key=lambda summary: not summary.leaders)
