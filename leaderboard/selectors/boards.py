"""Leaderboards: the detectors of a benchmark by what they do on the next generators."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field

from django.db.models import Count, Q

from leaderboard.models import (
    Benchmark,
    Edition,
    FirstContact,
    PeriodScore,
    Run,
    RunScore,
    Submission,
    TrainingMode,
)
from leaderboard.selectors.contacts import contacts_of
from leaderboard.selectors.entries import Entry, entries
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.kept import Kept, kept_by_run
from leaderboard.selectors.steps import RunSteps, steps_of_runs
from leaderboard.selectors.timelines import (
    SHOWN_EDITION,
    Timeline,
    TimelineGenerator,
    newest_edition,
    shown_edition,
    timeline,
)
from protocols.periods import Period
from protocols.states import LIVE_RUN

N_LEADERS = 3


@dataclass(frozen=True)
class BoardRow:
    """``windows``: the Next AUROC on each of the timeline's ``forecasts``.

    ``kept`` is there on benchmarks with continual training alone.
    """

    entry: Entry
    windows: tuple[Estimate, ...]
    steps: RunSteps
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True)
class Coming:
    """An edition that is being computed while the board still shows the one before it."""

    number: int
    n_ended: int
    n_runs: int


@dataclass(frozen=True)
class Board:
    """``rows`` is sorted best first; ``live`` holds the detectors whose results are still to come.

    ``n_stale``: how many runs are being scored anew since a generator was withdrawn or re-dated.
    """

    benchmark: Benchmark
    timeline: Timeline | None
    rows: tuple[BoardRow, ...] = ()
    live: tuple[BoardRow, ...] = ()
    coming: Coming | None = None
    n_stale: int = 0

    @property
    def is_continual(self) -> bool:
        return self.benchmark.training_mode == TrainingMode.CONTINUAL


@dataclass(frozen=True)
class Contact(Estimate):
    """The AUROC of a first contact, which is final.

    ``prospective``: the image was sealed before the generator's images were published;
    ``None`` where there is no first contact yet.
    """

    prospective: bool | None = None


@dataclass(frozen=True)
class ContactRow:
    """``cells``: the first contact with each generator of the heat map."""

    entry: Entry
    cells: tuple[Contact, ...]


@dataclass(frozen=True)
class ContactMap:
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
    """The board on the edition that is shown, with what ``user`` may see. A constant number of queries."""
    edition = shown_edition(benchmark)
    if edition is None:
        return Board(benchmark, None)
    line = timeline(edition)
    found = entries(edition, user)
    run_ids = [entry.run_id for entry in found if entry.run_id is not None]
    steps = steps_of_runs(run_ids)
    kept = kept_by_run(found) if benchmark.training_mode == TrainingMode.CONTINUAL else {}
    next_at: dict[int, dict[int, Estimate]] = defaultdict(dict)
    for score in PeriodScore.objects.filter(run__in=run_ids, period=Period.NEXT):
        next_at[score.run_id][score.window] = auroc(score)

    def row(entry: Entry) -> BoardRow:
        run_id = entry.run_id or 0
        scores = next_at.get(run_id, {})
        windows = tuple(scores.get(window.index - 1, Estimate()) for window in line.forecasts)
        return BoardRow(entry, windows, steps.get(run_id, RunSteps()), kept.get(run_id, Kept()))

    return Board(
        benchmark,
        line,
        rows=tuple(row(entry) for entry in found if entry.is_scored or not entry.is_live),
        live=tuple(row(entry) for entry in found if entry.is_live and not entry.is_scored),
        coming=_coming(benchmark, edition),
        n_stale=Run.objects.filter(edition=edition, stale_since__isnull=False).count(),
    )


def _coming(benchmark: Benchmark, shown: Edition) -> Coming | None:
    newest = (
        benchmark.editions.filter(opened_at__isnull=False, number__gt=shown.number)
        .order_by("-number")
        .annotate(n_runs=Count("runs"), n_live=Count("runs", filter=Q(runs__state__in=LIVE_RUN)))
        .first()
    )
    return Coming(newest.number, newest.n_runs - newest.n_live, newest.n_runs) if newest else None


def first_contact(benchmark: Benchmark, user: object) -> ContactMap:
    """Every detector's AUROC on every generator before it could learn from it, as it was kept for good.

    Generators that every detector was trained on from the start have no first contact. A
    constant number of queries.
    """
    edition = newest_edition(benchmark)
    shown = shown_edition(benchmark)
    if edition is None or shown is None:
        return ContactMap(benchmark, None)
    line = timeline(edition)
    found = entries(shown, user)
    contacts = contacts_of(found, [generator.generator_id for generator in line.generators])
    met = {generator_id for _, generator_id in contacts}
    known = {submission_id for submission_id, _ in contacts}
    generators = tuple(g for g in line.generators if g.window or g.generator_id in met)

    def row(entry: Entry) -> ContactRow:
        keys = [(entry.submission_id, g.generator_id) for g in generators]
        return ContactRow(entry, tuple(_contact(contacts.get(key)) for key in keys))

    return ContactMap(
        benchmark,
        line,
        generators=generators,
        without=tuple(g for g in line.generators if g not in generators),
        rows=tuple(row(entry) for entry in found if entry.run_id is not None or entry.submission_id in known),
    )


def _contact(row: FirstContact | None) -> Contact:
    return Contact(**asdict(auroc(row)), prospective=row.prospective) if row else Contact()


def benchmark_summaries(user: object) -> list[BenchmarkSummary]:
    """Every benchmark with its leaders on the edition that is shown. Always three queries."""
    benchmarks = list(Benchmark.objects.select_related("corpus").annotate(shown=SHOWN_EDITION))
    visible = Submission.objects.visible_to(user).entered()
    n_entries: dict[int, int] = defaultdict(int)
    for benchmark_id in visible.values_list("benchmark_id", flat=True):
        n_entries[benchmark_id] += 1
    leaders: dict[int, dict[object, Leader]] = defaultdict(dict)
    scores = (
        RunScore.objects.filter(
            run__edition__in=[benchmark.shown for benchmark in benchmarks],
            run__submission__in=Submission.objects.visible_to(None).entered(),
            period=Period.NEXT,
            value__isnull=False,
        )
        .select_related("run__submission__team")
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
                    submission.team.name,
                    Estimate(score.value, score.low, score.high),
                ),
            )
    return [
        BenchmarkSummary(benchmark, n_entries[benchmark.pk], tuple(leaders[benchmark.pk].values()))
        for benchmark in benchmarks
    ]
