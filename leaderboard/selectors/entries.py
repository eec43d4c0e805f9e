"""A detector as it stands on a board: its averages over time, its rank, where it comes from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from leaderboard.board import MEANS
from leaderboard.selectors.estimates import Estimate
from protocols.states import RunState


@dataclass(frozen=True)
class Average:
    """A period's average over time. ``estimate`` has the interval over images, ``generators`` the one over
    generators; ``paper_value`` is the paper-compatible mean over all K windows."""

    estimate: Estimate = field(default_factory=Estimate)
    generators: Estimate = field(default_factory=Estimate)
    paper_value: float | None = None


@dataclass(frozen=True)
class Entry:
    """A detector with its runs on an edition.

    ``seeds``: those that have been through all windows; the averages are means over them, ``spread`` is
    the lowest and the highest headline. ``run_id`` and ``seed``: those of the lowest. ``rank`` counts public
    entries only, so it is the same for everyone who looks; with ``rank_best`` and ``rank_worst`` it is
    ``None`` for an entry without a headline value and for a ``null_row``. ``means``: the averages
    over time of the other metrics of Next.
    """

    submission_id: uuid.UUID
    name: str
    team: str
    null_row: str
    track: str
    is_private: bool
    is_withdrawn: bool
    declared_cutoff: date | None
    sealed_at: datetime | None
    run_id: int
    run_state: RunState
    seed: int
    seeds: tuple[int, ...]
    spread: tuple[float, float] | None
    finished_at: datetime | None
    n_windows: int
    next: Average
    past: Average
    whole: Average
    means: Mapping[str, float | None]
    rank: int | None = None
    rank_best: int | None = None
    rank_worst: int | None = None

    @property
    def is_scored(self) -> bool:
        return self.next.estimate.value is not None

    @property
    def n_seeds(self) -> int:
        return len(self.seeds)


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The entry of a row of a board's table."""
    low, high = row["next_min"], row["next_max"]
    return Entry(
        submission_id=uuid.UUID(row["detector"]),
        name=row["name"],
        team=row["team"],
        null_row=row["null_row"],
        track=row["track"],
        is_private=row["is_private"],
        is_withdrawn=row["is_withdrawn"],
        declared_cutoff=row["declared_cutoff"],
        sealed_at=row["sealed_at"],
        run_id=row["run"],
        run_state=RunState(row["run_state"]),
        seed=row["seed"],
        seeds=tuple(row["seeds"]),
        spread=(low, high) if len(row["seeds"]) > 1 else None,
        finished_at=row["finished_at"],
        n_windows=row["n_windows"],
        next=_average(row, "next"),
        past=_average(row, "past"),
        whole=_average(row, "whole"),
        means={name: row[name] for name in MEANS},
        rank=row["rank"],
        rank_best=row["rank_best"],
        rank_worst=row["rank_worst"],
    )


def _average(row: Mapping[str, Any], period: str) -> Average:
    value = row[period]
    return Average(
        Estimate(value, row[f"{period}_low"], row[f"{period}_high"]),
        Estimate(value, row[f"{period}_generators_low"], row[f"{period}_generators_high"]),
        row[f"{period}_paper"],
    )
