"""Where detectors stand on an edition, collected from all its scores into the table of a board."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import F, FloatField, QuerySet, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from leaderboard.board import MEANS, PERIODS, SCHEMA, Timelines
from leaderboard.models import (
    Edition,
    FirstContact,
    PeriodScore,
    Run,
    RunScore,
    RunTransfer,
    Step,
    Submission,
    UnitScore,
    Visibility,
)
from leaderboard.selectors.estimates import Bounded, bounded
from leaderboard.selectors.steps import CONTAINER
from leaderboard.selectors.timelines import newest_edition, timeline
from protocols.contract import Phase
from protocols.metrics import mean
from protocols.periods import Period
from protocols.states import LIVE_RUN, SubmissionState

TRAINED, TRAINING_FREE = "trained", "training-free"
_AUROC = ("roc_auc", "roc_auc_variance", "tp", "tn", "fp", "fn")
_AVERAGE = ("value", "low", "high", "generators_low", "generators_high", "paper_value")
_PARTS = ("", "_low", "_high", "_generators_low", "_generators_high", "_paper")


def timelines_of(edition: Edition) -> Timelines:
    """The timeline of the edition that is shown, and of the newest one."""
    shown = timeline(edition)
    newest = newest_edition(edition.benchmark)
    return Timelines(shown, shown if newest is None or newest == edition else timeline(newest))


def standings(edition: Edition, submissions: QuerySet[Submission], timelines: Timelines) -> pa.Table:
    """A row for each of ``submissions`` that has something to show on ``edition``, by id, not yet ranked.

    A detector with several seeds has the mean over them, and an interval that is the mean of theirs:
    the spread of a mean is never above the mean of the spreads, so it is not too narrow. Its first
    contacts and its newest scores are those of the lowest seed. A detector whose run is under way, or
    that was withdrawn without a score, has none. A constant number of queries.
    """
    chosen = submissions.filter(benchmark=edition.benchmark_id).entered()  # type: ignore[attr-defined]
    runs: dict[uuid.UUID, list[Run]] = defaultdict(list)
    rows = Run.objects.filter(edition=edition, submission__in=chosen).order_by("seed")
    for row in rows.only("submission", "seed", "state", "created_at", "finished_at"):
        runs[row.submission_id].append(row)
    averages = _averages(edition, chosen)
    found: list[tuple[Submission, list[Run], Run]] = []
    for submission in (
        chosen.select_related("team")
        .only(
            "name",
            "team__name",
            "null_row",
            "phases",
            "visibility",
            "state",
            "declared_cutoff",
            "sealed_at",
        )
        .order_by("pk")
    ):
        own = runs[submission.pk]
        scored = [run for run in own if averages[run.pk].get(Period.NEXT, {}).get("value") is not None]
        last = max(own, key=lambda run: run.created_at, default=None)
        has_ended = last is not None and last.state not in LIVE_RUN
        if last and (scored or (has_ended and submission.state != SubmissionState.WITHDRAWN)):
            found.append((submission, scored, scored[0] if scored else last))
    windows = _forecasts(edition, chosen, timelines)
    contacts = _contacts(chosen, timelines)
    newest = _newest(edition, chosen, timelines)
    transfer = {row.run_id: row for row in RunTransfer.objects.filter(run__in=[run for _, _, run in found])}
    costs = _costs(edition, chosen)
    n_forecasts, n_generators = len(timelines.shown.forecasts), len(timelines.shown.generators)
    n_contacts = len(timelines.contacts.generators)
    table: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for submission, scored, run in found:
        means = [averages[r.pk].get(Period.NEXT, {}).get("means") or {} for r in scored]
        values = [averages[r.pk][Period.NEXT]["value"] for r in scored]
        met = contacts.get((submission.pk, run.seed), {})
        kept = transfer.get(run.pk)
        cells: dict[str, Any] = {
            "detector": str(submission.pk),
            "name": submission.name,
            "team": submission.team.name,
            "null_row": submission.null_row,
            "track": _track(submission),
            "is_private": submission.visibility == Visibility.PRIVATE,
            "is_withdrawn": submission.state == SubmissionState.WITHDRAWN,
            "declared_cutoff": submission.declared_cutoff,
            "sealed_at": submission.sealed_at,
            "run": run.pk,
            "run_state": run.state,
            "seed": run.seed,
            "seeds": [r.seed for r in scored],
            "runs": [r.pk for r in scored],
            "finished_at": run.finished_at,
            "next_min": min(values, default=None),
            "next_max": max(values, default=None),
            "n_windows": averages[run.pk].get(Period.NEXT, {}).get("n_windows", 0),
            "forgetting": kept.forgetting if kept else None,
            "backward": kept.backward if kept else None,
            "cost_s": costs.get((submission.pk, run.seed)),
        }
        for period in PERIODS:
            for part, name in zip(_PARTS, _AVERAGE, strict=True):
                cells[f"{period}{part}"] = mean([averages[r.pk].get(period, {}).get(name) for r in scored])
        for name in MEANS:
            cells[name] = mean([m.get(name) for m in means])
        forecasts = [[windows.get((r.pk, k)) for r in scored or [run]] for k in range(n_forecasts)]
        for part in Bounded._fields:
            suffix = "" if part == "value" else f"_{part}"
            cells[f"windows{suffix}"] = [
                mean([getattr(bounds, part) if bounds else None for bounds in cell]) for cell in forecasts
            ]
            cells[f"contacts{suffix}"] = [
                getattr(met[j][0], part) if j in met else None for j in range(n_contacts)
            ]
            cells[f"newest{suffix}"] = [
                getattr(newest[run.pk, j], part) if (run.pk, j) in newest else None
                for j in range(n_generators)
            ]
        cells["prospective"] = [met[j][1] if j in met else None for j in range(n_contacts)]
        cells["windows_rank"] = [None] * n_forecasts
        for name, column in table.items():
            column.append(cells.get(name))
    return pa.table(table, schema=SCHEMA)


def _track(submission: Submission) -> str:
    """Whether it learns here. What the server makes itself is in no track."""
    if submission.null_row:
        return ""
    return TRAINED if Phase.TRAIN in submission.phases else TRAINING_FREE


def _averages(edition: Edition, submissions: QuerySet[Submission]) -> Mapping[int, dict[str, dict[str, Any]]]:
    """The averages over time of every run, by period."""
    found: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in RunScore.objects.filter(run__edition=edition, run__submission__in=submissions).values(
        "run_id", "period", *_AVERAGE, "means", "n_windows"
    ):
        found[row["run_id"]][row["period"]] = row
    return found


def _bounds(rows: Sequence[tuple[Any, ...]], n_keys: int) -> Iterable[tuple[tuple[Any, ...], Bounded]]:
    """The key of each row with its AUROC: rows are (key …, the columns of ``_AUROC``)."""
    columns = list(zip(*rows, strict=True)) or [()] * (n_keys + len(_AUROC))
    value, variance, tp, tn, fp, fn = (np.array(c, dtype=np.float64) for c in columns[n_keys:])
    return zip(
        zip(*columns[:n_keys], strict=True),
        bounded(value, variance, np.minimum(tp + fn, tn + fp)),
        strict=True,
    )


def _forecasts(
    edition: Edition, submissions: QuerySet[Submission], timelines: Timelines
) -> dict[tuple[int, int], Bounded]:
    """The Next AUROC of every run on the timeline's forecasts, by (run, position)."""
    place = {window.index - 1: k for k, window in enumerate(timelines.shown.forecasts)}
    rows = PeriodScore.objects.filter(
        run__edition=edition, run__submission__in=submissions, period=Period.NEXT, window__in=list(place)
    ).order_by()
    found = list(rows.values_list("run_id", "window", *_AUROC))
    return {(run, place[window]): value for (run, window), value in _bounds(found, 2)}


def _contacts(
    submissions: QuerySet[Submission], timelines: Timelines
) -> Mapping[tuple[uuid.UUID, int], dict[int, tuple[Bounded, bool]]]:
    """The first contacts of every detector with a seed, by the position of the generator."""
    place = {g.generator_id: j for j, g in enumerate(timelines.contacts.generators)}
    rows = FirstContact.objects.filter(submission__in=submissions, generator__in=list(place)).order_by()
    keys = ("submission_id", "seed", "generator_id", "prospective")
    result: dict[tuple[uuid.UUID, int], dict[int, tuple[Bounded, bool]]] = defaultdict(dict)
    for (submission, seed, generator, prospective), value in _bounds(
        list(rows.values_list(*keys, *_AUROC)), len(keys)
    ):
        result[submission, seed][place[generator]] = (value, prospective)
    return result


def _newest(
    edition: Edition, submissions: QuerySet[Submission], timelines: Timelines
) -> dict[tuple[int, int], Bounded]:
    """The AUROC of every run's last checkpoint on the timeline's generators, by (run, position)."""
    place = {g.unit_id: j for j, g in enumerate(timelines.shown.generators)}
    rows = UnitScore.objects.filter(
        run__edition=edition,
        run__submission__in=submissions,
        window=timelines.shown.n_closed - 1,
        unit__in=list(place),
    ).order_by()
    found = list(rows.values_list("run_id", "unit_id", *_AUROC))
    return {(run, place[unit]): value for (run, unit), value in _bounds(found, 2)}


def _costs(edition: Edition, submissions: QuerySet[Submission]) -> dict[tuple[uuid.UUID, int], float]:
    """Container seconds by (detector, seed), on this edition and those before it."""
    rows = (
        Step.objects.filter(run__submission__in=submissions, run__edition__number__lte=edition.number)
        .order_by()
        .values("run__submission", seed=F("run__seed"))
        .annotate(seconds=Sum(Cast(KeyTextTransform(CONTAINER, "timings"), FloatField())))
    )
    return {
        (row["run__submission"], row["seed"]): row["seconds"] for row in rows if row["seconds"] is not None
    }
