"""From stored predictions to scores. Every number can be computed again; nothing is asked of a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.models import Edition, PeriodScore, Prediction, Run, RunScore, Unit, UnitScore
from protocols.contract import Phase
from protocols.delong import Auroc, delong_of
from protocols.evaluation import average_over_time, evaluate_step
from protocols.metrics import Metrics, measure
from protocols.periods import Period
from protocols.scores import ScoredImages
from protocols.states import StepState

Scores = NDArray[np.float64]

# The periods that are published and ranked.
PERIODS = (Period.NEXT, Period.PAST, Period.WHOLE)
# The window of a generator that waits for an edition that has a place for it.
OUTSIDE = -1


class Layout:
    """Where every image of a benchmark stands in one long score array, and which window it counts in.

    Units follow each other in the given order, each with its fakes before its reals. The
    open window, where there is one, counts as the window after the last closed one; a
    generator older than the frontier that is in no window counts in no period.
    """

    def __init__(self, edition: Edition, units: Sequence[Unit]) -> None:
        self.units = list(units)
        windows = edition.windows.prefetch_related("generators")
        self.n_closed = len(windows)
        members = {g: window.index for window in windows for g in window.generators.all()}
        frontier = max((generator.release_date for generator in members), default=date.min)
        window_of_unit = [
            members.get(unit.generator, self.n_closed if unit.generator.release_date > frontier else OUTSIDE)
            for unit in self.units
        ]
        self.n_windows = max([self.n_closed, *(window + 1 for window in window_of_unit)])
        sizes = [unit.n_fakes + unit.n_reals for unit in self.units]
        self.window_of = np.repeat(np.asarray(window_of_unit, dtype=np.int64), sizes)
        self._unit_of = np.repeat(np.arange(len(self.units)), sizes)
        classes = [np.repeat([1, 0], [unit.n_fakes, unit.n_reals]) for unit in self.units]
        self.labels = np.concatenate(classes or [np.empty(0)])

    def join(self, scores: Mapping[int, Scores]) -> Scores:
        """The long array of the scores of one state, given by unit id."""
        return np.concatenate([scores[unit.pk] for unit in self.units])

    def of_unit(self, position: int) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = self._unit_of == position
        return inside


@dataclass
class WindowScore:
    """The rows of one window of a run, not yet saved."""

    window: int
    units: list[UnitScore]
    periods: list[PeriodScore]

    def save(self, run: Run) -> None:
        """Replace what the run has for this window."""
        UnitScore.objects.filter(run=run, window=self.window).delete()
        PeriodScore.objects.filter(run=run, window=self.window).delete()
        for unit in self.units:
            unit.run = run
        for period in self.periods:
            period.run = run
        UnitScore.objects.bulk_create(self.units)
        PeriodScore.objects.bulk_create(self.periods)


def window_score(edition: Edition, window: int, scores: Mapping[Unit, Scores]) -> WindowScore:
    """Score the state after training on ``window`` on every unit and every period.

    ``scores``: for each unit its float64 array, fakes first.
    """
    layout = Layout(edition, sorted(scores, key=lambda unit: unit.pk))
    joined = layout.join({unit.pk: values for unit, values in scores.items()})
    images = ScoredImages(layout.labels, joined)
    units = []
    for position, unit in enumerate(layout.units):
        groups = images.groups(layout.of_unit(position))
        units.append(UnitScore(window=window, unit=unit, **_columns(measure(groups), delong_of(groups))))
    results = evaluate_step(layout.labels, joined, layout.window_of, window, layout.n_windows)
    periods = [
        PeriodScore(window=window, period=period, **_columns(results[period].metrics, results[period].auroc))
        for period in PERIODS
        # After the last window there may be no next one, and then there is no score to show.
        if results[period].metrics.n_fake_images
    ]
    return WindowScore(window, units, periods)


def _columns(metrics: Metrics, auroc: Auroc | None) -> dict[str, Any]:
    values = asdict(metrics)
    del values["n_real_images"], values["n_fake_images"]
    return values | {"roc_auc_variance": auroc.variance if auroc else None}


def run_score(run: Run) -> None:
    """Write the averages over time of a run, once all of its windows are predicted.

    They are over closed windows alone. The interval is over images: each image's
    influence on all windows of the average is summed before it is squared, so images
    that count in several windows count once.
    """
    steps = list(run.steps.filter(phase=Phase.PREDICT).order_by("window"))
    if any(step.state != StepState.SUCCEEDED for step in steps):
        return
    benchmark = run.edition.benchmark_id
    units = list(Unit.objects.filter(benchmark=benchmark).select_related("generator").order_by("pk"))
    layout = Layout(run.edition, units)
    # The steps of the headline are scored alike with and without the fall-back of the last one.
    results = {
        step.window: evaluate_step(
            layout.labels,
            layout.join(stored_scores(step.key, units)),
            layout.window_of,
            step.window,
            layout.n_closed,
            paper_compatible=True,
        )
        for step in steps
    }
    for period in PERIODS:
        average = average_over_time(results, period, layout.n_closed)
        paper = average_over_time(results, period, layout.n_closed, paper_compatible=True)
        RunScore.objects.update_or_create(
            run=run,
            period=period,
            defaults={
                "value": average.means["roc_auc"],
                "low": average.interval.low if average.interval else None,
                "high": average.interval.high if average.interval else None,
                "paper_value": paper.means["roc_auc"],
                "n_windows": len(average.steps),
            },
        )


def stored_scores(state_key: str, units: Iterable[Unit]) -> dict[int, Scores]:
    """The stored scores of a state by unit id; units without a prediction are left out."""
    rows = Prediction.objects.filter(state_key=state_key, unit__in=list(units)).values_list(
        "unit_id", "scores"
    )
    return {unit_id: np.frombuffer(scores, dtype="<f8") for unit_id, scores in rows}
