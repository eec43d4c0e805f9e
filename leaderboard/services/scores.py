"""From stored predictions to scores. Every number can be computed again; nothing is asked of a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from leaderboard.models import Edition, PeriodScore, Prediction, Run, RunScore, Unit, UnitScore
from protocols.contract import Phase
from protocols.delong import Auroc, delong_of, interval, weighted_mean
from protocols.metrics import mean, measure
from protocols.periods import Period, averaged_steps, window_range
from protocols.scores import ScoredImages
from protocols.states import StepState

Scores = NDArray[np.float64]

# The periods that are published and ranked.
PERIODS = (Period.NEXT, Period.PAST, Period.WHOLE)
# The window of a generator that waits for an edition that has a place for it.
OUTSIDE = -1


class Layout:
    """Where every image of a benchmark stands in one long score array, and which windows it counts in.

    Units follow each other in the given order, each with its fakes before its reals. The
    open window, where there is one, counts as the window after the last closed one; a
    generator older than the frontier that is in no window counts in no period.
    """

    def __init__(self, edition: Edition, units: Sequence[Unit]) -> None:
        self.units = list(units)
        windows = edition.windows.prefetch_related("generators")
        self.n_closed = len(windows)
        members = {generator.pk: generator for window in windows for generator in window.generators.all()}
        frontier = max((generator.release_date for generator in members.values()), default=date.min)
        closed = {g.pk: window.index for window in windows for g in window.generators.all()}
        window_of_unit = [
            closed.get(
                unit.generator_id, self.n_closed if unit.generator.release_date >= frontier else OUTSIDE
            )
            for unit in self.units
        ]
        self.n_windows = max([self.n_closed, *(window + 1 for window in window_of_unit)])
        sizes = [unit.n_fakes + unit.n_reals for unit in self.units]
        self._unit_of_image = np.repeat(np.arange(len(self.units)), sizes)
        self._window_of_image = np.repeat(window_of_unit, sizes)
        self.labels = np.concatenate(
            [np.repeat([1, 0], [unit.n_fakes, unit.n_reals]) for unit in self.units] or [np.empty(0)]
        )

    def images(self, scores: Mapping[int, Scores]) -> ScoredImages:
        """All images with the scores of one state, given by unit id."""
        return ScoredImages(self.labels, np.concatenate([scores[unit.pk] for unit in self.units]))

    def of_unit(self, position: int) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = self._unit_of_image == position
        return inside

    def of_windows(self, windows: range) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.isin(self._window_of_image, windows)
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
    images = layout.images({unit.pk: values for unit, values in scores.items()})
    units = [
        UnitScore(window=window, unit=unit, **_metrics(images, layout.of_unit(position)))
        for position, unit in enumerate(layout.units)
    ]
    periods = []
    for period in PERIODS:
        covered = window_range(period, window, layout.n_windows)
        if covered:
            metrics = _metrics(images, layout.of_windows(covered))
            periods.append(PeriodScore(window=window, period=period, **metrics))
    return WindowScore(window, units, periods)


def _metrics(images: ScoredImages, subset: NDArray[np.bool_]) -> dict[str, float | int | None]:
    values = asdict(measure(images.groups(subset)))
    del values["n_real_images"], values["n_fake_images"]
    estimate = delong_of(images, subset)
    return values | {"roc_auc_variance": estimate.variance if estimate else None}


def run_score(run: Run) -> None:
    """Write the averages over time of a run, once all of its windows are predicted.

    The interval is over images: each image's influence on all windows of the average is
    summed before it is squared, so images that count in several windows count once.
    """
    steps = list(run.steps.filter(phase=Phase.PREDICT).order_by("window"))
    if any(step.state != StepState.SUCCEEDED for step in steps):
        return
    units = list(
        Unit.objects.filter(benchmark=run.edition.benchmark_id).select_related("generator").order_by("pk")
    )
    layout = Layout(run.edition, units)
    images = {step.window: layout.images(stored_scores(step.key, units)) for step in steps}
    for period in PERIODS:
        estimates = _estimates(layout, images, period)
        value = weighted_mean(estimates) if estimates else None
        bounds = interval(value) if value else None
        paper = _estimates(layout, images, period, paper_compatible=True)
        RunScore.objects.update_or_create(
            run=run,
            period=period,
            defaults={
                "value": value.value if value else None,
                "low": bounds.low if bounds else None,
                "high": bounds.high if bounds else None,
                "paper_value": mean([estimate.value for estimate in paper]),
                "n_windows": len(estimates),
            },
        )


def _estimates(
    layout: Layout, images: Mapping[int, ScoredImages], period: Period, *, paper_compatible: bool = False
) -> list[Auroc]:
    """The AUROCs of a period at the steps of its average; none at all when one of them is undefined."""
    result = []
    for step in averaged_steps(period, layout.n_closed, paper_compatible=paper_compatible):
        covered = window_range(period, step, layout.n_closed, paper_compatible=paper_compatible)
        estimate = delong_of(images[step], layout.of_windows(covered))
        if estimate is None:
            return []
        result.append(estimate)
    return result


def stored_scores(state_key: str, units: Iterable[Unit]) -> dict[int, Scores]:
    """The stored scores of a state by unit id; units without a prediction are left out."""
    rows = Prediction.objects.filter(state_key=state_key, unit__in=list(units)).values_list(
        "unit_id", "scores"
    )
    return {unit_id: np.frombuffer(scores, dtype="<f8") for unit_id, scores in rows}
