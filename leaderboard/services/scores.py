"""From stored predictions to scores. Every number can be computed again; nothing is asked of a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    RunScore,
    Unit,
    UnitScore,
)
from leaderboard.models.scores import Metrics as MetricsRow
from leaderboard.queue import wake_workers
from leaderboard.services.transfer import transfer_score
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
        sizes = [unit.n_fakes + unit.n_reals for unit in self.units]
        self.window_of = np.repeat(np.asarray(self.window_of_unit, dtype=np.int64), sizes)
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
    contacts = [
        score
        for score, own in zip(units, layout.window_of_unit, strict=True)
        if own > 0 and window == own - 1
    ]
    return WindowScore(window, units, periods, contacts)


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
    steps = list(run.steps.filter(phase=Phase.PREDICT, unit=None).order_by("window"))
    if any(step.state != StepState.SUCCEEDED for step in steps):
        return
    units = list(run.edition.units.select_related("generator").order_by("pk"))
    # What came when these states had been scored already may not have met all of them yet.
    stored = {step.window: stored_scores(step.key, units) for step in steps}
    units = [unit for unit in units if all(unit.pk in scores for scores in stored.values())]
    layout = Layout(run.edition, units)
    # The steps of the headline are scored alike with and without the fall-back of the last one.
    results = {
        step.window: evaluate_step(
            layout.labels,
            layout.join(stored[step.window]),
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
    transfer_score(run)


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
        units = list(run.edition.units.select_related("generator"))
        for step in run.steps.filter(phase=Phase.PREDICT, unit=None, state=StepState.SUCCEEDED):
            scores = stored_scores(step.key, units)
            known = {unit: scores[unit.pk] for unit in units if unit.pk in scores}
            window_score(run.edition, step.window, known).save(run, step.key)
        run_score(run)
        run.stale_since = None
        run.save(update_fields=["stale_since"])
        return True


def stored_scores(state_key: str, units: Iterable[Unit]) -> dict[int, Scores]:
    """The stored scores of a state by unit id; units without a prediction are left out."""
    rows = Prediction.objects.filter(state_key=state_key, unit__in=list(units)).values_list(
        "unit_id", "scores"
    )
    return {unit_id: np.frombuffer(scores, dtype="<f8") for unit_id, scores in rows}
