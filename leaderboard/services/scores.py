"""From stored predictions to scores. Every number can be computed again; nothing is asked of a container."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Min
from django.utils import timezone
from numpy.typing import NDArray

from leaderboard.models import (
    Batch,
    Edition,
    FirstContact,
    Generator,
    PeriodScore,
    Prediction,
    Run,
    RunInfluence,
    RunScore,
    Step,
    Unit,
    UnitScore,
)
from leaderboard.models.scores import Metrics as MetricsRow
from leaderboard.queue import wake_workers
from leaderboard.services.boards import board_touch
from leaderboard.services.transfer import transfer_score
from protocols.averages import RunAverage, averages
from protocols.contract import Phase
from protocols.delong import Auroc
from protocols.evaluation import Checkpoint, PeriodResult
from protocols.influence import pack
from protocols.metrics import Metrics
from protocols.periods import Period
from protocols.states import StepState

Scores = NDArray[np.float64]

# The periods that are published and ranked.
PERIODS = (Period.NEXT, Period.PAST, Period.WHOLE)
# Metrics that are sums of the scores themselves. In full they would hand on the low bits of scores, where
# a container can write what it likes (docs/decisions/0009).
OF_SCORES = ("brier", "calibration_error")
DECIMALS = 4
# The window of a generator that waits for an edition that has a place for it.
OUTSIDE = -1


class Layout:
    """Where every image of a benchmark stands in one long score array, and which window it counts in.

    Units follow each other in the given order, each with its fakes before its reals. The
    open window, where there is one, counts as the window after the last closed one; a
    generator that is older than the frontier and in no window counts in no period, nor does
    one that was withdrawn.
    """

    def __init__(self, edition: Edition, units: Sequence[Unit]) -> None:
        self.units = list(units)
        windows = edition.windows.prefetch_related("generators")
        self.n_closed = len(windows)
        members = {g.pk: window.index for window in windows for g in window.generators.all()}

        def window_of(generator: Generator) -> int:
            if generator.is_withdrawn:
                return OUTSIDE
            outside = self.n_closed if generator.release_date > edition.frontier else OUTSIDE
            return members.get(generator.pk, outside)

        self.window_of_unit = [window_of(unit.generator) for unit in self.units]
        self.n_windows = max([self.n_closed, *(window + 1 for window in self.window_of_unit)])
        self._sizes = [unit.n_fakes + unit.n_reals for unit in self.units]
        self.unit_of = np.repeat(np.arange(len(self.units)), self._sizes)
        classes = [np.repeat([1, 0], [unit.n_fakes, unit.n_reals]) for unit in self.units]
        self._labels = np.concatenate(classes or [np.empty(0)])

    def leave_out(self, units: Collection[int]) -> None:
        """Have these units, by id, count in no period."""
        for position, unit in enumerate(self.units):
            if unit.pk in units:
                self.window_of_unit[position] = OUTSIDE

    def checkpoint(self, window: int, scores: Mapping[int, Scores]) -> Checkpoint:
        """The state after training on ``window``, with its scores by unit id.

        A unit that it has no scores for counts in none of its periods.
        """
        joined = [
            scores.get(unit.pk, np.zeros(size)) for unit, size in zip(self.units, self._sizes, strict=True)
        ]
        windows = [
            own if unit.pk in scores else OUTSIDE
            for unit, own in zip(self.units, self.window_of_unit, strict=True)
        ]
        return Checkpoint(
            self._labels,
            np.concatenate(joined or [np.empty(0)]),
            np.repeat(np.asarray(windows, dtype=np.int64), self._sizes),
            window,
        )


@dataclass
class WindowScore:
    """The rows of one window of a run, not yet saved.

    ``contacts``: those of ``units`` whose generators the state meets before its detector
    could learn from them.
    """

    window: int
    units: list[UnitScore]
    periods: list[PeriodScore]
    contacts: list[UnitScore]

    def save(self, run: Run, state_key: str) -> None:
        """Replace what the run has for this window; first contacts are added where there is none yet."""
        UnitScore.objects.filter(run=run, window=self.window).delete()
        PeriodScore.objects.filter(run=run, window=self.window).delete()
        for unit in self.units:
            unit.run = run
        for period in self.periods:
            period.run = run
        UnitScore.objects.bulk_create(self.units)
        PeriodScore.objects.bulk_create(self.periods)
        _keep_contacts(run, self.window, state_key, self.contacts)
        board_touch(run.edition.benchmark_id)


def _keep_contacts(run: Run, window: int, state_key: str, scores: Sequence[UnitScore]) -> None:
    submission = run.submission
    published = first_publications([score.unit.generator_id for score in scores])
    contacts = []
    for score in scores:
        since = published.get(score.unit.generator_id)
        sealed = submission.sealed_at
        contacts.append(
            FirstContact(
                submission=submission,
                seed=run.seed,
                generator_id=score.unit.generator_id,
                unit=score.unit,
                edition_id=run.edition_id,
                window=window,
                state_key=state_key,
                prospective=since is not None and sealed is not None and sealed < since,
                **{field.name: getattr(score, field.name) for field in MetricsRow._meta.fields},
            )
        )
    # The first one stands: a later score of the same generator is another row's business.
    FirstContact.objects.bulk_create(contacts, ignore_conflicts=True)


def first_publications(generator_ids: Iterable[int]) -> dict[int, datetime]:
    """When the first images of each of these generators were published."""
    rows = (
        Batch.objects.filter(generator__in=list(generator_ids), published_at__isnull=False)
        .order_by()
        .values("generator_id")
        .annotate(since=Min("published_at"))
    )
    return {row["generator_id"]: row["since"] for row in rows}


def window_score(edition: Edition, window: int, scores: Mapping[Unit, Scores]) -> WindowScore:
    """Score the state after training on ``window`` on every unit and every period.

    ``scores``: for each unit its float64 array, fakes first.
    """
    layout = Layout(edition, sorted(scores, key=lambda unit: unit.pk))
    by_unit = {unit.pk: values for unit, values in scores.items()}
    return _window_score(layout, layout.checkpoint(window, by_unit), by_unit.keys())


def _window_score(layout: Layout, checkpoint: Checkpoint, scored: Collection[int]) -> WindowScore:
    """The rows of one state, which has scores for the units with the ids ``scored``."""
    window = checkpoint.step
    units, contacts = [], []
    results = checkpoint.units(layout.unit_of, len(layout.units))
    for unit, own, result in zip(layout.units, layout.window_of_unit, results, strict=True):
        if unit.pk not in scored:
            continue
        columns = metric_columns(result.metrics)
        units.append(UnitScore(window=window, unit=unit, roc_auc_variance=result.roc_auc_variance, **columns))
        if own > 0 and window == own - 1:
            contacts.append(units[-1])
    periods = [
        _period_score(window, period, result)
        for period, result in checkpoint.results(layout.n_windows, periods=PERIODS).items()
        # After the last window there may be no next one, and then there is no score to show.
        if result.metrics.n_fake_images
    ]
    return WindowScore(window, units, periods, contacts)


def _period_score(window: int, period: Period, result: PeriodResult) -> PeriodScore:
    return PeriodScore(window=window, period=period, **period_columns(result))


def period_columns(result: PeriodResult) -> dict[str, Any]:
    """The columns of ``PeriodScore`` that a result fills."""
    variance = result.auroc.variance if result.auroc else None
    past = asdict(result.past) if result.past else {}
    return metric_columns(result.metrics) | {"roc_auc_variance": variance} | past


def metric_columns(metrics: Metrics) -> dict[str, Any]:
    """The columns of ``Metrics``, as far as metrics fill them, as they are told."""
    values = asdict(metrics)
    del values["n_real_images"], values["n_fake_images"]
    return values | {name: _told(values[name]) for name in OF_SCORES}


def _told(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def run_score(run: Run) -> None:
    """Write the averages over time of a run, once all of its windows are predicted."""
    steps = _predictions(run)
    if any(step.state != StepState.SUCCEEDED for step in steps):
        return
    layout, stored = _stored(run, steps)
    _save_averages(run, layout, [layout.checkpoint(window, scores) for window, scores in stored.items()])


def _predictions(run: Run) -> list[Step]:
    return list(run.steps.filter(phase=Phase.PREDICT, unit=None).order_by("window"))


def _stored(run: Run, steps: Iterable[Step]) -> tuple[Layout, dict[int, dict[int, Scores]]]:
    """The units of a run and what its ``steps`` scored them, by window and unit id."""
    units = list(run.edition.units.select_related("generator").order_by("pk"))
    stored = {step.window: stored_scores(step.key, units) for step in steps}
    layout = Layout(run.edition, units)
    # An average is over the same images at every step. What came to the open window since is in no average.
    layout.leave_out(
        {
            unit.pk
            for unit, window in zip(units, layout.window_of_unit, strict=True)
            if window < layout.n_closed and any(unit.pk not in scores for scores in stored.values())
        }
    )
    return layout, stored


def _save_averages(run: Run, layout: Layout, checkpoints: Sequence[Checkpoint]) -> None:
    """The averages over time, over closed windows alone, and what the headline owes to every image."""
    found = averages(checkpoints, layout.unit_of, layout.window_of_unit, layout.n_closed, PERIODS)
    for period, average in found.items():
        RunScore.objects.update_or_create(run=run, period=period, defaults=average_columns(average))
    _save_influence(run, layout, found[Period.NEXT].forecasts.auroc)
    transfer_score(run)
    board_touch(run.edition.benchmark_id)


def average_columns(average: RunAverage) -> dict[str, Any]:
    """The columns of ``RunScore`` that an average fills."""
    means = dict(average.forecasts.means)
    images, generators = average.forecasts.interval, average.generators
    return {
        "value": means.pop("roc_auc"),
        "low": images.low if images else None,
        "high": images.high if images else None,
        "generators_low": generators.low if generators else None,
        "generators_high": generators.high if generators else None,
        "means": means | {name: _told(means[name]) for name in OF_SCORES},
        "paper_value": average.paper_compatible.means["roc_auc"],
        "n_windows": len(average.forecasts.steps),
    }


def _save_influence(run: Run, layout: Layout, headline: Auroc | None) -> None:
    if headline is None:
        RunInfluence.objects.filter(run=run).delete()
        return
    # The first window is nobody's next one.
    inside = [0 < window < layout.n_closed for window in layout.window_of_unit]
    images = np.asarray(inside, dtype=bool)[layout.unit_of]
    RunInfluence.objects.update_or_create(
        run=run,
        defaults={
            "units": [unit.pk for unit, chosen in zip(layout.units, inside, strict=True) if chosen],
            "values": pack(headline, images),
            "n_pairs": headline.n_pairs,
        },
    )


def stale_if_withdrawn(run: Run, units: Iterable[Unit]) -> None:
    """Have a run scored anew if one of ``units`` was withdrawn while its scores were being computed."""
    generators = [unit.generator_id for unit in units]
    if Generator.objects.filter(pk__in=generators, withdrawn_at__isnull=False).exists():
        Run.objects.filter(pk=run.pk).update(stale_since=timezone.now())
        wake_workers()


def rescore_next() -> bool:
    """Compute the scores of one stale run anew from its stored predictions; whether there was one.

    Any number of workers may call it at once.
    """
    with transaction.atomic():
        run = (
            Run.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(stale_since__isnull=False)
            .order_by("stale_since", "pk")
            .first()
        )
        if run is None:
            return False
        steps = _predictions(run)
        done = [step for step in steps if step.state == StepState.SUCCEEDED]
        layout, stored = _stored(run, done)
        checkpoints = [layout.checkpoint(step.window, stored[step.window]) for step in done]
        for step, checkpoint in zip(done, checkpoints, strict=True):
            _window_score(layout, checkpoint, stored[step.window].keys()).save(run, step.key)
        if len(done) == len(steps):
            _save_averages(run, layout, checkpoints)
        run.stale_since = None
        run.save(update_fields=["stale_since"])
        return True


def stored_scores(state_key: str, units: Iterable[Unit]) -> dict[int, Scores]:
    """The stored scores of a state by unit id; units without a prediction are left out."""
    rows = Prediction.objects.filter(state_key=state_key, unit__in=list(units)).values_list(
        "unit_id", "scores"
    )
    return {unit_id: np.frombuffer(scores, dtype="<f8") for unit_id, scores in rows}
