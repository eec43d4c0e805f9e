"""What detectors keep while they go on learning: forgetting and backward transfer, with ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.models import RunTransfer
from leaderboard.selectors.entries import Entry
from protocols import ranking


@dataclass(frozen=True)
class Kept:
    """A run's measures. Ranks count public entries only; less forgetting and more transfer is better."""

    forgetting: float | None = None
    forgetting_rank: int | None = None
    backward: float | None = None
    backward_rank: int | None = None


def kept_by_run(found: Sequence[Entry]) -> dict[int, Kept]:
    """The measures of the runs that stand on a board, by run (one query)."""
    public = {entry.run_id for entry in found if not entry.is_private}
    rows = {
        row.run_id: row for row in RunTransfer.objects.filter(run__in=[e.run_id for e in found if e.run_id])
    }
    forgetting = _ranks({run: row.forgetting for run, row in rows.items() if run in public}, sign=-1)
    backward = _ranks({run: row.backward for run, row in rows.items() if run in public}, sign=1)
    return {
        run: Kept(row.forgetting, forgetting.get(run), row.backward, backward.get(run))
        for run, row in rows.items()
    }


def _ranks(values: dict[int, float | None], *, sign: int) -> dict[int, int | None]:
    entries = [
        ranking.Entry(str(run), None if value is None else sign * value) for run, value in values.items()
    ]
    return {int(ranked.id): ranked.rank for ranked in ranking.rank(entries)}
