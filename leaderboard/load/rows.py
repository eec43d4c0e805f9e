"""The rows of invented detectors' runs. This is the part that several processes share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

from leaderboard.load.copying import Rows
from leaderboard.load.scoring import RunResult, score
from leaderboard.load.simulation import (
    N_UNITS,
    N_WINDOWS,
    WINDOW_OF_UNIT,
    Items,
    Library,
    Traits,
)
from leaderboard.models import (
    FirstContact,
    PeriodScore,
    Prediction,
    RunInfluence,
    RunScore,
    RunTransfer,
    Step,
    UnitScore,
)
from leaderboard.models.scores import Metrics
from leaderboard.services.scores import average_columns, period_columns
from protocols.contract import Phase
from protocols.states import StepState

METRICS = [str(field.column) for field in Metrics._meta.fields]
# A generator's images are published with its window, the first six windows at once.
PUBLISHED = datetime(2025, 1, 15, 9, tzinfo=UTC)
BETWEEN = timedelta(days=90)


def published_at(window: int) -> datetime:
    return PUBLISHED + BETWEEN * max(0, window - 5)


@dataclass(frozen=True)
class InventedRun:
    """A run that is in the database, waiting for its rows. ``number``: which detector it is of."""

    run_id: int
    submission_id: str
    number: int
    seed: int
    sealed_at: datetime
    keeps_predictions: bool


@dataclass(frozen=True)
class World:
    """What all runs share. ``units`` and ``generators``: ids in the order of the timeline."""

    slug: str
    seed: int
    edition_id: int
    units: Sequence[int]
    generators: Sequence[int]

    @cached_property
    def library(self) -> Library:
        return Library(self.seed)

    @cached_property
    def common(self) -> list[str]:
        """The metrics of each item as text."""
        rows = Rows(UnitScore, METRICS)
        return [rows.common(metrics) for metrics in self.library.metrics]


@cache
def _known(
    slug: str, seed: int, edition_id: int, units: tuple[int, ...], generators: tuple[int, ...]
) -> World:
    """The world of a process, whose library is measured once."""
    return World(slug, seed, edition_id, units, generators)


def made(world: World, runs: Sequence[InventedRun]) -> dict[str, tuple[list[str], list[str]]]:
    """For each table its columns and lines, in an order in which they may be written."""
    known = _known(world.slug, world.seed, world.edition_id, tuple(world.units), tuple(world.generators))
    maker = _Maker(known)
    for run in runs:
        maker.run(run)
    return {rows.table: (rows.columns, rows.lines) for rows in maker.tables}


class _Maker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.steps = Rows(Step)
        self.units = Rows(UnitScore, METRICS)
        self.periods = Rows(PeriodScore)
        self.averages = Rows(RunScore)
        self.transfers = Rows(RunTransfer)
        self.influences = Rows(RunInfluence)
        self.contacts = Rows(FirstContact, METRICS)
        self.predictions = Rows(Prediction)
        self.tables = (
            self.steps,
            self.units,
            self.periods,
            self.averages,
            self.transfers,
            self.influences,
            self.contacts,
            self.predictions,
        )

    def run(self, run: InventedRun) -> None:
        traits = Traits.drawn(self.world.seed, run.number)
        items = traits.items(self.world.seed, run.number, run.seed)
        keys = [self._key(run, window if traits.is_trained else 0) for window in range(N_WINDOWS)]
        self._add_steps(run, traits, keys)
        self._add_scores(run, items, score(self.world.library, items))
        self._add_contacts(run, items, keys)
        if run.keeps_predictions:
            self._add_predictions(items, keys)

    def _key(self, run: InventedRun, window: int) -> str:
        name = f"{self.world.slug} {run.number} {run.seed} {window}"
        return hashlib.sha256(name.encode()).hexdigest()

    def _add_steps(self, run: InventedRun, traits: Traits, keys: Sequence[str]) -> None:
        begins = run.sealed_at + timedelta(hours=1)
        for window, key in enumerate(keys):
            for phase in (Phase.TRAIN, Phase.PREDICT):
                if phase == Phase.TRAIN and not traits.is_trained:
                    continue
                reused = window > 0 and not traits.is_trained
                seconds = traits.container_s * (window + 1 if phase == Phase.TRAIN else 0.25)
                ends = begins + timedelta(seconds=0 if reused else seconds + 3)
                timings = {"prepare": 2.1, "stage": 0.3, "container": round(seconds, 3), "score": 0.4}
                self.steps.add(
                    {
                        "run_id": run.run_id,
                        "phase": phase.value,
                        "window": window,
                        "state": StepState.SUCCEEDED.value,
                        "key": key if phase == Phase.PREDICT else hashlib.sha256(key.encode()).hexdigest(),
                        "reused": reused,
                        "timings": {} if reused else timings,
                        "progress": 1.0,
                        **dict.fromkeys(("created_at", "ready_at", "started_at"), begins),
                        "finished_at": ends,
                    }
                )
                begins = ends

    def _add_scores(self, run: InventedRun, items: Items, result: RunResult) -> None:
        common = self.world.common
        for window, row in enumerate(items.tolist()):
            for unit, item in zip(self.world.units, row, strict=True):
                self.units.add({"run_id": run.run_id, "window": window, "unit_id": unit}, common[item])
        of_run = {"run_id": run.run_id}
        for (window, period), scores in result.periods.items():
            self.periods.add(period_columns(scores) | of_run | {"window": window, "period": period.value})
        for period, average in result.averages.items():
            self.averages.add(average_columns(average) | of_run | {"period": period.value})
        self.transfers.add(asdict(result.transfer) | of_run)
        later = [unit for unit, own in zip(self.world.units, WINDOW_OF_UNIT, strict=True) if own > 0]
        influence = {"units": later, "values": result.influence, "n_pairs": result.n_pairs}
        self.influences.add(influence | of_run)

    def _add_contacts(self, run: InventedRun, items: Items, keys: Sequence[str]) -> None:
        for unit, own in enumerate(WINDOW_OF_UNIT.tolist()):
            if own == 0:
                continue
            since = published_at(own)
            self.contacts.add(
                {
                    "submission_id": run.submission_id,
                    "seed": run.seed,
                    "generator_id": self.world.generators[unit],
                    "unit_id": self.world.units[unit],
                    "edition_id": self.world.edition_id,
                    "window": own - 1,
                    "state_key": keys[own - 1],
                    "prospective": run.sealed_at < since,
                    "at": max(since, run.sealed_at) + timedelta(days=1),
                },
                self.world.common[items[own - 1, unit]],
            )

    def _add_predictions(self, items: Items, keys: Sequence[str]) -> None:
        for window, key in enumerate(keys):
            if key in keys[:window]:
                continue
            for unit in range(N_UNITS):
                scores = self.world.library.scores[items[window, unit]]
                self.predictions.add(
                    {
                        "state_key": key,
                        "unit_id": self.world.units[unit],
                        "scores": scores.astype("<f8").tobytes(),
                        "created_at": PUBLISHED,
                    }
                )
