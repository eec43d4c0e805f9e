"""Leaderboards: the detectors of a benchmark by what they do on the next generators."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import Q

from leaderboard.models import Benchmark, PeriodScore, RunScore, Submission, UnitScore
from leaderboard.selectors.entries import Entry, entries
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.steps import RunSteps, steps_of_runs
from leaderboard.selectors.timelines import (
    NEWEST_EDITION,
    Timeline,
    TimelineGenerator,
    newest_edition,
    timeline,
)
from protocols.periods import Period
from protocols.states import SubmissionState

N_LEADERS = 3


@dataclass(frozen=True)
class BoardRow:
    """``windows``: the Next AUROC on each of the timeline's ``forecasts``."""

    entry: Entry
    windows: tuple[Estimate, ...]
    steps: RunSteps


@dataclass(frozen=True)
class Board:
    """``rows`` is sorted best first; ``live`` holds the detectors whose results are still to come."""

    benchmark: Benchmark
    timeline: Timeline | None
    rows: tuple[BoardRow, ...] = ()
    live: tuple[BoardRow, ...] = ()


@dataclass(frozen=True)
class ContactRow:
    """``cells``: the AUROC at first contact with each generator of the heat map."""

    entry: Entry
    cells: tuple[Estimate, ...]


@dataclass(frozen=True)
class FirstContact:
    """Detectors × ``generators`` in release order; those ``without`` one were trained on from the start."""

    benchmark: Benchmark
    timeline: Timeline | None
    generators: tuple[TimelineGenerator, ...] = ()
    without: tuple[TimelineGenerator, ...] = ()
    rows: tuple[ContactRow, ...] = ()


@dataclass(frozen=True)
class Leader:
    submission_id: object
    name: str
    owner: str
    estimate: Estimate


@dataclass(frozen=True)
class BenchmarkSummary:
    benchmark: Benchmark
    n_entries: int
    leaders: tuple[Leader, ...] = field(default=())


def leaderboard(benchmark: Benchmark, user: object) -> Board:
    """The board on the newest edition, with what ``user`` may see. A constant number of queries."""
    edition = newest_edition(benchmark)
    if edition is None:
        return Board(benchmark, None)
    line = timeline(edition)
    found = entries(edition, user)
    run_ids = [entry.run_id for entry in found if entry.run_id is not None]
    steps = steps_of_runs(run_ids)
    next_at: dict[int, dict[int, Estimate]] = defaultdict(dict)
    for score in PeriodScore.objects.filter(run__in=run_ids, period=Period.NEXT):
        next_at[score.run_id][score.window] = auroc(score)

    def row(entry: Entry) -> BoardRow:
        run_id = entry.run_id or 0
        scores = next_at.get(run_id, {})
        windows = tuple(scores.get(window.index - 1, Estimate()) for window in line.forecasts)
        return BoardRow(entry, windows, steps.get(run_id, RunSteps()))

    return Board(
        benchmark,
        line,
        rows=tuple(row(entry) for entry in found if entry.is_scored or not entry.is_live),
        live=tuple(row(entry) for entry in found if entry.is_live and not entry.is_scored),
    )


def first_contact(benchmark: Benchmark, user: object) -> FirstContact:
    """Every detector's AUROC on every generator before it could learn from it.

    A generator is first met by the checkpoint of the window before its own. Those of the
    first window are trained on from the start and have no first contact. A constant
    number of queries.
    """
    edition = newest_edition(benchmark)
    if edition is None:
        return FirstContact(benchmark, None)
    line = timeline(edition)
    generators = tuple(g for g in line.generators if g.contact_window is not None)
    found = [entry for entry in entries(edition, user) if entry.run_id is not None]
    cells = _contacts(generators, found)
    return FirstContact(
        benchmark,
        line,
        generators=generators,
        without=tuple(g for g in line.generators if g.window == 0),
        rows=tuple(
            ContactRow(
                entry, tuple(cells.get((entry.run_id or 0, g.unit_id), Estimate()) for g in generators)
            )
            for entry in found
        ),
    )


def _contacts(
    generators: tuple[TimelineGenerator, ...], found: list[Entry]
) -> dict[tuple[int, int], Estimate]:
    units_at: dict[int, list[int]] = defaultdict(list)
    for generator in generators:
        if generator.contact_window is not None:
            units_at[generator.contact_window].append(generator.unit_id)
    if not units_at:
        return {}
    wanted = Q()
    for window, units in units_at.items():
        wanted |= Q(window=window, unit__in=units)
    scores = UnitScore.objects.filter(wanted, run__in=[entry.run_id for entry in found])
    return {(score.run_id, score.unit_id): auroc(score) for score in scores}


def benchmark_summaries(user: object) -> list[BenchmarkSummary]:
    """Every benchmark with its leaders on the newest edition. Three queries, however many there are."""
    benchmarks = list(Benchmark.objects.select_related("corpus").annotate(newest=NEWEST_EDITION))
    visible = Submission.objects.visible_to(user).filter(state=SubmissionState.ACCEPTED)
    n_entries: dict[int, int] = defaultdict(int)
    for benchmark_id in visible.values_list("benchmark_id", flat=True):
        n_entries[benchmark_id] += 1
    leaders: dict[int, dict[object, Leader]] = defaultdict(dict)
    scores = (
        RunScore.objects.filter(
            run__edition__in=[benchmark.newest for benchmark in benchmarks],
            run__submission__in=Submission.objects.visible_to(None).filter(state=SubmissionState.ACCEPTED),
            period=Period.NEXT,
            value__isnull=False,
        )
        .select_related("run__submission__owner")
        .order_by("-value", "run__created_at")
    )
    for score in scores:
        submission = score.run.submission
        best = leaders[submission.benchmark_id]
        if len(best) < N_LEADERS:
            best.setdefault(
                submission.pk,
                Leader(
                    submission.pk,
                    submission.name,
                    submission.owner.username,
                    Estimate(score.value, score.low, score.high),
                ),
            )
    return [
        BenchmarkSummary(benchmark, n_entries[benchmark.pk], tuple(leaders[benchmark.pk].values()))
        for benchmark in benchmarks
    ]
