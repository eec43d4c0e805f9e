"""What failed lately: by whose fault, by code, with the last things that each code ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from leaderboard.models import Batch, Step, Submission
from protocols.errors import CATALOGUE, ErrorEntry, Owner
from protocols.states import BatchState, StepState, SubmissionState

PERIOD = timedelta(days=30)
# How many of the things that a code ended are linked.
EXAMPLES = 5


@dataclass(frozen=True)
class Ended:
    """A step, submission or batch that a fault ended."""

    kind: str
    name: str
    target: str
    at: datetime
    detail: str


@dataclass
class FailureRow:
    """All that one code ended in the period, newest examples first."""

    entry: ErrorEntry
    count: int = 0
    last_at: datetime | None = None
    examples: list[Ended] = field(default_factory=list)


@dataclass(frozen=True)
class Failures:
    """``retried``: steps that a fault of the platform has set back and that are not ended yet."""

    since: datetime
    rows: tuple[FailureRow, ...]
    retried: tuple[Step, ...]

    @property
    def by_owner(self) -> dict[Owner, int]:
        counts = dict.fromkeys((Owner.PLATFORM, Owner.MAINTAINER, Owner.PARTICIPANT), 0)
        for row in self.rows:
            counts[row.entry.owner] = counts.get(row.entry.owner, 0) + row.count
        return counts

    @property
    def n_platform(self) -> int:
        return self.by_owner[Owner.PLATFORM]


# Each table with its final state, and the path to the time at which a row got there.
_SOURCES: tuple[tuple[str, QuerySet[Any], str], ...] = (
    ("step", Step.objects.filter(state=StepState.FAILED), "finished_at"),
    (
        "submission",
        Submission.objects.filter(state=SubmissionState.REJECTED, events__new=SubmissionState.REJECTED),
        "events__at",
    ),
    ("batch", Batch.objects.filter(state=BatchState.REJECTED, events__new=BatchState.REJECTED), "events__at"),
)


def failure_counts(since: datetime) -> dict[str, tuple[int, datetime]]:
    """How many things each code ended since, and when last. Three queries."""
    found: dict[str, tuple[int, datetime]] = {}
    for _, rows, at in _SOURCES:
        counts = (
            rows.filter(**{f"{at}__gte": since})
            .order_by()
            .values("error_code")
            .annotate(n=Count("pk"), last=Max(at))
        )
        for row in counts:
            n, last = found.get(row["error_code"], (0, row["last"]))
            found[row["error_code"]] = (n + row["n"], max(last, row["last"]))
    return found


def failures() -> Failures:
    """The platform's faults first, then the maintainers', then the participants'; seven queries."""
    since = timezone.now() - PERIOD
    examples = _examples(since)
    rows = [
        FailureRow(entry(code), n, last, sorted(examples[code], key=lambda e: e.at, reverse=True)[:EXAMPLES])
        for code, (n, last) in failure_counts(since).items()
    ]
    order = list(Failures(since, (), ()).by_owner)
    rows.sort(key=lambda row: (order.index(row.entry.owner) if row.entry.owner in order else 9, -row.count))
    retried = (
        Step.objects.filter(state__in=(StepState.READY, StepState.RUNNING))
        .exclude(error_code="")
        .select_related("run__submission")
        .defer("log_tail")
        .order_by("-attempts", "id")
    )
    return Failures(since, tuple(rows), tuple(retried[:50]))


def entry(code: str) -> ErrorEntry:
    """The catalogue's entry; what has no code (a batch turned down by hand) counts as the maintainers'."""
    nameless = ErrorEntry(code, Owner.MAINTAINER, "It was turned down without a code.", "Read its events.")
    return CATALOGUE.get(code, nameless)


def _examples(since: datetime) -> Mapping[str, list[Ended]]:
    found: dict[str, list[Ended]] = defaultdict(list)
    for kind, rows, at in _SOURCES:
        newest = Window(RowNumber(), partition_by=F("error_code"), order_by=F(at).desc())
        picked = (
            rows.filter(**{f"{at}__gte": since})
            .annotate(place=newest, ended_at=F(at))
            .filter(place__lte=EXAMPLES)
        )
        for row in _with_names(kind, picked):
            found[row.error_code].append(_ended(kind, row))
    return found


def _with_names(kind: str, rows: QuerySet[Any]) -> Iterable[Any]:
    if kind == "step":
        return rows.select_related("run__submission").defer("log_tail")
    return rows.select_related("generator") if kind == "batch" else rows


def _ended(kind: str, row: Any) -> Ended:
    if kind == "step":
        name, target = f"{row.run.submission.name}: {row.phase} w{row.window}", row.run.submission_id
    elif kind == "submission":
        name, target = row.name, row.pk
    else:
        name, target = row.origin, row.pk
    return Ended(kind, name, str(target), row.ended_at, row.error_detail)
