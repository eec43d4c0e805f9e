"""One detector's report: the matrix R, its periods over time, each generator, and where it all comes from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from leaderboard.board import PERIODS, Timeline, TimelineGenerator
from leaderboard.models import FirstContact, PeriodScore, Submission, UnitScore
from leaderboard.selectors.curves import Curves, checkpoint_curves
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.horizon import detector_horizon
from leaderboard.selectors.lineage import Lineage, SeedRun, StepCost, lineage, run_steps
from leaderboard.selectors.present import present_rows
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standings import timelines_of
from leaderboard.selectors.steps import RunSteps, steps_of_runs
from leaderboard.selectors.timelines import shown_edition
from leaderboard.selectors.views import View
from protocols.continual import Transfer, transfer
from protocols.horizon import Horizon
from protocols.periods import Period


@dataclass(frozen=True)
class Scores:
    """The metrics that tables show. ``tnr`` is the accuracy on reals, ``recall`` that on fakes.

    At the threshold 0.5, unless they look at all thresholds. ``past_…``: at the threshold that was chosen
    on past windows, for the period Next alone. ``best_…``: at the best threshold for these very images,
    which is an oracle and never ranked.
    """

    auroc: Estimate = field(default_factory=Estimate)
    average_precision: float | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    tnr: float | None = None
    recall: float | None = None
    tpr_at_fpr_1: float | None = None
    tpr_at_fpr_5: float | None = None
    equal_error_rate: float | None = None
    brier: float | None = None
    calibration_error: float | None = None
    past_threshold: float | None = None
    past_balanced_accuracy: float | None = None
    past_tnr: float | None = None
    past_recall: float | None = None
    best_threshold: float | None = None
    best_balanced_accuracy: float | None = None


@dataclass(frozen=True)
class WindowPeriods:
    """The periods after training on one window."""

    window: int
    next: Scores
    past: Scores
    whole: Scores

    @property
    def all(self) -> tuple[Scores, Scores, Scores]:
        return self.next, self.past, self.whole

    def of(self, period: Period) -> Scores:
        return {Period.NEXT: self.next, Period.PAST: self.past, Period.WHOLE: self.whole}[period]


@dataclass(frozen=True)
class GeneratorScores:
    """``before``: at first contact; ``after``: trained on its window; ``last``: at the newest state.

    ``prospective``: the detector was sealed before the generator's images were published;
    ``None`` without a first contact.
    """

    generator: TimelineGenerator
    before: Scores
    after: Scores
    last: Scores
    prospective: bool | None = None


@dataclass(frozen=True)
class Asked:
    """What a reader wants to see of a detector; what does not exist gives way to what there is.

    ``seed``: of the run whose details are shown. ``window`` and ``period``: the checkpoint and the period
    that curves are drawn of. ``asof``: the board that the standing is taken from.
    """

    seed: int | None = None
    window: int | None = None
    period: Period = Period.NEXT
    asof: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Asked:
        """What an address asks for. What can't be meant is as if it were not there."""

        def number(name: str) -> int | None:
            value = str(asked.get(name, ""))
            return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None

        period = str(asked.get("period", ""))
        return cls(
            seed=number("seed"),
            window=number("window"),
            period=Period(period) if period in PERIODS else Period.NEXT,
            asof=View.of(asked).asof,
        )


@dataclass(frozen=True)
class Then:
    """How a detector stood on an earlier board; ``entry`` is ``None`` where it was not on it."""

    shown: Shown
    entry: Entry | None
    n_ranked: int


@dataclass(frozen=True)
class Detector:
    """``run`` is the one whose details are shown, one of ``runs``, which has one for each seed.

    ``entry`` is over all seeds that have been through all windows, and ``None`` before there is any result.
    ``matrix[k][j]``: the AUROC on ``timeline.generators[j]`` after training window k.
    ``frontiers[k]``: the newest release date that was trained on by then. ``costs`` are the steps
    of this edition; ``cost_s`` counts the editions before it too, whose results are reused.
    ``is_current``: the board that the rank is from shows all that has happened. ``citation``: what names
    the board in an address. ``then``: the standing on the board that was asked for.
    """

    submission: Submission
    entry: Entry | None
    n_ranked: int
    timeline: Timeline | None
    is_current: bool = False
    shown: Shown | None = None
    then: Then | None = None
    run: SeedRun | None = None
    runs: tuple[SeedRun, ...] = ()
    matrix: tuple[tuple[Estimate, ...], ...] = ()
    periods: tuple[WindowPeriods, ...] = ()
    generators: tuple[GeneratorScores, ...] = ()
    transfer: Transfer | None = None
    frontiers: tuple[date, ...] = ()
    horizon: Horizon | None = None
    curves: Curves | None = None
    costs: tuple[StepCost, ...] = ()
    cost_s: float | None = None
    lineage: Lineage | None = None

    @property
    def edition_cost_s(self) -> float | None:
        known = [cost.container_s for cost in self.costs if cost.container_s is not None]
        return sum(known) if known else None


def detector(submission_id: uuid.UUID, user: object, asked: Asked | None = None) -> Detector | None:
    """The report of an accepted detector on the edition that is shown.

    ``None`` when ``user`` may not see it, or when there was no such board as is asked for. A constant
    number of queries.
    """
    asked = asked or Asked()
    submission = (
        Submission.objects.visible_to(user)
        .entered()
        .select_related("owner", "team", "benchmark__corpus")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        return None
    then = _then(submission, asked.asof) if asked.asof else None
    if asked.asof and then is None:
        return None
    edition = shown_edition(submission.benchmark)
    if edition is None:
        return Detector(submission, None, 0, None)
    timelines = timelines_of(edition)
    line = timelines.shown
    shown = shown_board(submission.benchmark)
    rows = present_rows(Submission.objects.filter(pk=submission.pk), edition, timelines, shown)
    entry = entry_of(rows[submission.pk]) if rows else None
    n_ranked = shown.snapshot.n_ranked if shown else 0
    made = lineage(submission, edition)
    run = _chosen(made.runs, entry, asked.seed)
    is_current = shown is not None and shown.is_current
    if run is None:
        return Detector(submission, entry, n_ranked, line, is_current, shown, then, lineage=made)
    units = {
        (score.window, score.unit_id): _scores(score) for score in UnitScore.objects.filter(run=run.run_id)
    }
    periods = {
        (score.window, Period(score.period)): _scores(score)
        for score in PeriodScore.objects.filter(run=run.run_id)
    }
    contacts = {
        row.generator_id: row
        for row in FirstContact.objects.filter(
            submission=submission, seed=run.seed, generator__in=[g.generator_id for g in line.generators]
        )
    }
    matrix = tuple(
        tuple(units.get((k, g.unit_id), Scores()).auroc for g in line.generators)
        for k in range(line.n_closed)
    )
    frontiers, horizon = detector_horizon(edition, line, matrix)
    costs = run_steps(run.run_id)
    return Detector(
        submission=submission,
        entry=entry,
        n_ranked=n_ranked,
        timeline=line,
        is_current=is_current,
        shown=shown,
        then=then,
        run=run,
        runs=made.runs,
        matrix=matrix,
        periods=tuple(
            WindowPeriods(
                k, *(periods.get((k, p), Scores()) for p in (Period.NEXT, Period.PAST, Period.WHOLE))
            )
            for k in range(line.n_closed)
        ),
        generators=tuple(
            _generator_scores(g, units, contacts.get(g.generator_id), line.n_closed) for g in line.generators
        ),
        transfer=_transfer(line, units),
        frontiers=frontiers,
        horizon=horizon,
        curves=_curves(line, costs, periods, asked),
        costs=costs,
        cost_s=steps_of_runs([run.run_id]).get(run.run_id, RunSteps()).cost_s,
        lineage=made,
    )


def _then(submission: Submission, asof: str) -> Then | None:
    shown = shown_board(submission.benchmark, asof)
    if shown is None:
        return None
    place = shown.snapshot.position_of.get(submission.pk)
    entry = entry_of(shown.snapshot.rows([place])[0]) if place is not None else None
    return Then(shown, entry, shown.snapshot.n_ranked)


def _chosen(runs: tuple[SeedRun, ...], entry: Entry | None, seed: int | None) -> SeedRun | None:
    """The run of the seed that is asked for; or the one that stands on the board; or the newest."""
    by_seed = {run.seed: run for run in runs}
    if seed in by_seed:
        return by_seed[seed]
    if entry is not None and entry.seed in by_seed:
        return by_seed[entry.seed]
    return max(runs, key=lambda run: run.run_id, default=None)


def _curves(
    line: Timeline,
    steps: tuple[StepCost, ...],
    periods: dict[tuple[int, Period], Scores],
    asked: Asked,
) -> Curves | None:
    """The curves that are asked for, or else those of the last forecast of a closed window."""
    scored = [k for k in range(line.n_closed) if (k, asked.period) in periods]
    if not scored:
        return None
    forecasts = [k for k in scored if k < line.n_closed - 1]
    window = asked.window if asked.window in scored else (forecasts or scored)[-1]
    keys = [step.key for step in steps if step.predicts_all and step.window == window and step.key]
    if not keys:
        return None
    past = periods.get((window, Period.PAST), Scores())
    return checkpoint_curves(line, keys[0], window, asked.period, chosen=past.best_threshold)


def _scores(score: UnitScore | PeriodScore | FirstContact) -> Scores:
    names = [metric.name for metric in fields(Scores) if metric.name != "auroc"]
    # The threshold of past windows is known of periods alone.
    return Scores(auroc(score), **{name: getattr(score, name, None) for name in names})


def _generator_scores(
    generator: TimelineGenerator,
    units: dict[tuple[int, int], Scores],
    contact: FirstContact | None,
    n_closed: int,
) -> GeneratorScores:
    def at(window: int | None) -> Scores:
        return units.get((window, generator.unit_id), Scores()) if window is not None else Scores()

    return GeneratorScores(
        generator,
        before=_scores(contact) if contact else Scores(),
        after=at(generator.window),
        last=at(n_closed - 1),
        prospective=contact.prospective if contact else None,
    )


def _transfer(line: Timeline, units: dict[tuple[int, int], Scores]) -> Transfer:
    windows = [[g.unit_id for g in line.generators if g.window == k] for k in range(line.n_closed)]
    return transfer({key: scores.auroc.value for key, scores in units.items()}, windows)
