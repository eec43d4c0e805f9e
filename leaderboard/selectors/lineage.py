"""Where a detector's numbers come from: its runs with their seeds, its steps, and what was mounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from leaderboard.models import Edition, Run, RunScore, Step, Submission
from leaderboard.selectors.entries import Average
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.steps import CONTAINER
from protocols.contract import Phase
from protocols.periods import Period
from protocols.states import RunState


@dataclass(frozen=True)
class SeedRun:
    """A run on the edition that is shown, with its own averages over time.

    ``means``: the other metrics, averaged over time, by period and name.
    """

    run_id: int
    seed: int
    state: RunState
    finished_at: datetime | None
    next: Average = field(default_factory=Average)
    past: Average = field(default_factory=Average)
    whole: Average = field(default_factory=Average)
    means: Mapping[Period, Mapping[str, float | None]] = field(default_factory=dict)

    @property
    def is_scored(self) -> bool:
        return self.next.estimate.value is not None


@dataclass(frozen=True)
class StepCost:
    """``container_s``: seconds in the container; ``total_s``: with staging, collecting and scoring.

    ``key``: what the step's result is kept under; ``state_hash``: the content of the state that it left or
    scored. ``generator``: for the first contact with a single one, its slug.
    """

    window: int
    phase: Phase
    state: str
    reused: bool
    container_s: float | None
    total_s: float | None
    key: str = ""
    state_hash: str = ""
    generator: str = ""

    @property
    def predicts_all(self) -> bool:
        """Whether it scored a checkpoint on all units of its edition."""
        return self.phase == Phase.PREDICT and not self.generator


@dataclass(frozen=True)
class SeedState:
    seed: int
    state: RunState


@dataclass(frozen=True)
class RanOn:
    """An edition that a detector ran on, with its runs there by seed."""

    number: int
    manifest_hash: str
    runs: tuple[SeedState, ...]


@dataclass(frozen=True)
class Mounted:
    """A closed window's list of training images: its store key and how many they are."""

    window: int
    manifest: str
    n_images: int


@dataclass(frozen=True)
class Lineage:
    """``runs`` are those on the edition that is shown, by seed; ``editions`` all, oldest first."""

    protocol_version: int
    runs: tuple[SeedRun, ...] = ()
    editions: tuple[RanOn, ...] = ()
    windows: tuple[Mounted, ...] = ()


def lineage(submission: Submission, edition: Edition) -> Lineage:
    """The runs of ``submission`` and what those on ``edition`` were trained on. Three queries."""
    runs = list(submission.runs.select_related("edition").order_by("edition__number", "seed"))
    own = [run for run in runs if run.edition_id == edition.pk]
    scores = {
        (score.run_id, Period(score.period)): score
        for score in RunScore.objects.filter(run__submission=submission, run__edition=edition)
    }
    editions: dict[Edition, list[Run]] = {}
    for run in runs:
        editions.setdefault(run.edition, []).append(run)
    return Lineage(
        protocol_version=submission.benchmark.protocol_version,
        runs=tuple(_seed_run(run, scores) for run in own),
        editions=tuple(
            RanOn(
                found.number,
                found.manifest_hash,
                tuple(SeedState(run.seed, RunState(run.state)) for run in there),
            )
            for found, there in editions.items()
        ),
        windows=tuple(
            Mounted(window.index, window.manifest, window.n_images) for window in edition.windows.all()
        ),
    )


def _seed_run(run: Run, scores: Mapping[tuple[int, Period], RunScore]) -> SeedRun:
    def average(period: Period) -> Average:
        score = scores.get((run.pk, period))
        if score is None:
            return Average()
        return Average(
            Estimate(score.value, score.low, score.high),
            Estimate(score.value, score.generators_low, score.generators_high),
            score.paper_value,
        )

    return SeedRun(
        run.pk,
        run.seed,
        RunState(run.state),
        run.finished_at,
        next=average(Period.NEXT),
        past=average(Period.PAST),
        whole=average(Period.WHOLE),
        means={period: score.means for (pk, period), score in scores.items() if pk == run.pk},
    )


def run_steps(run_id: int) -> tuple[StepCost, ...]:
    """The steps of a run in their order, with what they cost and made. One query."""
    steps = Step.objects.filter(run=run_id).select_related("unit__generator")
    return tuple(
        StepCost(
            window=step.window,
            phase=Phase(step.phase),
            state=step.state,
            reused=step.reused,
            container_s=step.timings.get(CONTAINER),
            total_s=sum(step.timings.values()) if step.timings else None,
            key=step.key,
            state_hash=step.state_hash,
            generator=step.unit.generator.slug if step.unit else "",
        )
        for step in steps.defer("log_tail")
    )
