"""The tables of a detector: the matrix R and the periods after each window, with every metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from django.db import models

from leaderboard.board import Timeline
from leaderboard.export.table import Export, Marks
from leaderboard.models import PeriodScore, UnitScore
from leaderboard.models.scores import Metrics
from leaderboard.selectors.curves import published_threshold
from leaderboard.selectors.estimates import auroc
from protocols.horizon import months_between

# The AUROC has columns of its own, with its interval in place of its variance.
_OWN = {"id", "run", "window", "period", "unit", "roc_auc", "roc_auc_variance"}
_TYPES: dict[type[models.Field[Any, Any]], pa.DataType] = {
    models.FloatField: pa.float64(),
    models.PositiveIntegerField: pa.int64(),
}


def _metrics(model: type[Metrics]) -> pa.Schema:
    fields = [field for field in model._meta.concrete_fields if field.name not in _OWN]
    return pa.schema([(field.name, _TYPES[type(field)]) for field in fields])


_AUROC = pa.schema([("roc_auc", pa.float64()), ("low", pa.float64()), ("high", pa.float64())])
_OF_UNIT, _OF_PERIOD = _metrics(UnitScore), _metrics(PeriodScore)
_MATRIX = pa.schema(
    [
        ("checkpoint", pa.int16()),
        ("frontier", pa.date32()),
        ("generator", pa.string()),
        ("generator_name", pa.string()),
        ("family", pa.string()),
        ("release_date", pa.date32()),
        ("window", pa.int16()),
        ("trained_on", pa.bool_()),
        ("lag_months", pa.float64()),
        *_AUROC,
        *_OF_UNIT,
    ]
)
_PERIODS = pa.schema([("checkpoint", pa.int16()), ("period", pa.string()), *_AUROC, *_OF_PERIOD])


def matrix(
    name: str, marks: Marks, line: Timeline, frontiers: Sequence[date], scores: Iterable[UnitScore]
) -> Export:
    """R in long form: a row for each checkpoint and generator of the timeline, scored or not.

    ``frontiers``: the newest release that each checkpoint was trained on; ``lag_months`` is from there
    to the generator's release.
    """
    found = {(score.window, score.unit_id): score for score in scores}
    rows = []
    for k, frontier in enumerate(frontiers):
        for g in line.generators:
            score = found.get((k, g.unit_id))
            rows.append(
                (
                    *(k, frontier, g.slug, g.name, g.family, g.release_date, g.window),
                    g.window is not None and g.window <= k,
                    months_between(frontier, g.release_date),
                    *_values(score, _OF_UNIT),
                )
            )
    return _export(f"{name}_matrix", marks, _MATRIX, rows)


def periods(name: str, marks: Marks, scores: Iterable[PeriodScore]) -> Export:
    """A row for each checkpoint and period, in the order of the checkpoints."""
    rows = [
        (score.window, score.period, *_values(score, _OF_PERIOD))
        for score in sorted(scores, key=lambda score: (score.window, score.period))
    ]
    return _export(f"{name}_periods", marks, _PERIODS, rows)


def _values(score: Metrics | None, metrics: pa.Schema) -> list[float | int | None]:
    if score is None:
        return [None] * (len(_AUROC) + len(metrics))
    estimate = auroc(score)
    return [
        estimate.value,
        estimate.low,
        estimate.high,
        *(_value(score, name) for name in metrics.names),
    ]


def _value(score: Metrics, name: str) -> float | int | None:
    value: float | int | None = getattr(score, name)
    return published_threshold(value) if value is not None and name.endswith("_threshold") else value


def _export(name: str, marks: Marks, schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> Export:
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return Export(name, marks, schema, [pa.record_batch(arrays, schema=schema)])


def slug_of(name: str, detector: object) -> str:
    """How a detector's files are called: what of its name is safe in a file name, or its id."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in name)
    return kept.strip("-.")[:60] or str(detector)
