"""One detector's report: the matrix R, its periods over time, each generator, transfer and cost."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from leaderboard.board import Timelines
from leaderboard.models import Edition, FirstContact, PeriodScore, Step, Submission, UnitScore
from leaderboard.selectors.entries import Entry, entry_of
from leaderboard.selectors.estimates import Estimate, auroc
from leaderboard.selectors.horizon import detector_horizon
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standings import standings, timelines_of
from leaderboard.selectors.steps import CONTAINER, RunSteps, steps_of_runs
from leaderboard.selectors.timelines import Timeline, TimelineGenerator, shown_edition
from protocols.continual import Transfer, transfer
from protocols.contract import Phase
from protocols.horizon import Horizon
from protocols.periods import Period


@dataclass(frozen=True)
class Scores:
    """The metrics that tables show. ``tnr`` is the accuracy on reals, ``recall`` that on fakes."""

    auroc: Estimate = field(default_factory=Estimate)
    average_precision: float | None = None
    accuracy: float | None = None
    tnr: float | None = None
    recall: float | None = None


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
class StepCost:
    """``container_s``: seconds in the container; ``total_s``: with staging, collecting and scoring."""

    window: int
    phase: Phase
    state: str
    reused: bool
    container_s: float | None
    total_s: float | None


@dataclass(frozen=True)
class Detector:
    """``matrix[k][j]``: the AUROC on ``timeline.generators[j]`` after training on window k.

    ``frontiers[k]``: the newest release date that was trained on by then. ``costs`` are the steps
    of this edition; ``cost_s`` counts the editions before it too, whose results are reused.
    ``is_current``: the board that the rank is from shows all that has happened.
    """

    submission: Submission
    entry: Entry | None
    n_ranked: int
    timeline: Timeline | None
    is_current: bool = False
    matrix: tuple[tuple[Estimate, ...], ...] = ()
    periods: tuple[WindowPeriods, ...] = ()
    generators: tuple[GeneratorScores, ...] = ()
    transfer: Transfer | None = None
    frontiers: tuple[date, ...] = ()
    horizon: Horizon | None = None
    costs: tuple[StepCost, ...] = ()
    cost_s: float | None = None

    @property
    def edition_cost_s(self) -> float | None:
        known = [cost.container_s for cost in self.costs if cost.container_s is not None]
        return sum(known) if known else None


def detector(submission_id: uuid.UUID, user: object) -> Detector | None:
    """The report of an accepted detector's best run on the edition that is shown.

    ``None`` when ``user`` may not see it. A constant number of queries.
    """
    submission = (
        Submission.objects.visible_to(user)
        .entered()
        .select_related("owner", "team", "benchmark__corpus")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        return None
    edition = shown_edition(submission.benchmark)
    if edition is None:
        return Detector(submission, None, 0, None)
    timelines = timelines_of(edition)
    line = timelines.shown
    shown = shown_board(submission.benchmark)
    entry, n_ranked = _standing(submission, edition, timelines, shown)
    is_current = shown is not None and shown.is_current
    if entry is None:
        return Detector(submission, None, n_ranked, line, is_current)
    units = {
        (score.window, score.unit_id): _scores(score) for score in UnitScore.objects.filter(run=entry.run_id)
    }
    periods = {
        (score.window, score.period): _scores(score) for score in PeriodScore.objects.filter(run=entry.run_id)
    }
    contacts = {
        row.generator_id: row
        for row in FirstContact.objects.filter(
            submission=submission, seed=entry.seed, generator__in=[g.generator_id for g in line.generators]
        )
    }
    matrix = tuple(
        tuple(units.get((k, g.unit_id), Scores()).auroc for g in line.generators)
        for k in range(line.n_closed)
    )
    frontiers, horizon = detector_horizon(edition, line, matrix)
    return Detector(
        submission=submission,
        entry=entry,
        n_ranked=n_ranked,
        timeline=line,
        is_current=is_current,
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
        costs=_costs(entry.run_id),
        cost_s=steps_of_runs([entry.run_id]).get(entry.run_id, RunSteps()).cost_s,
    )


def _standing(
    submission: Submission, edition: Edition, timelines: Timelines, shown: Shown | None
) -> tuple[Entry | None, int]:
    """The entry as its scores stand now, with its rank on the present board, and how many are ranked."""
    alone = standings(edition, Submission.objects.filter(pk=submission.pk), timelines)
    row = next(iter(alone.to_pylist()), None)
    if shown is None:
        return (entry_of(row) if row else None), 0
    board = shown.snapshot
    n_ranked = int((~np.isnan(board.numbers("rank"))).sum()) if len(board) else 0
    place = board.position_of.get(submission.pk)
    if row is not None and place is not None:
        on_board = board.rows([place])[0]
        row |= {name: on_board[name] for name in ("rank", "rank_best", "rank_worst")}
    return (entry_of(row) if row else None), n_ranked


def _scores(score: UnitScore | PeriodScore | FirstContact) -> Scores:
    return Scores(auroc(score), score.average_precision, score.accuracy, score.tnr, score.recall)


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


def _costs(run_id: int) -> tuple[StepCost, ...]:
    steps = Step.objects.filter(run=run_id).only("window", "phase", "state", "reused", "timings")
    return tuple(
        StepCost(
            window=step.window,
            phase=Phase(step.phase),
            state=step.state,
            reused=step.reused,
            container_s=step.timings.get(CONTAINER),
            total_s=sum(step.timings.values()) if step.timings else None,
        )
        for step in steps
    )
