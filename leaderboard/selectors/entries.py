"""Who stands on a benchmark: each accepted detector with its best run, its averages and its rank."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from leaderboard.models import Edition, Run, RunScore, Submission, Visibility
from leaderboard.selectors.estimates import Estimate
from protocols import ranking
from protocols.periods import Period
from protocols.states import LIVE_RUN, RunState, SubmissionState

HEADLINE = (Period.NEXT, Period.PAST, Period.WHOLE)


@dataclass(frozen=True)
class Average:
    """A period's average over time; ``paper_value`` is the paper-compatible mean over all K windows."""

    estimate: Estimate = field(default_factory=Estimate)
    paper_value: float | None = None
    n_windows: int = 0


@dataclass(frozen=True)
class Entry:
    """A detector with its best run on an edition, or with no run there (``run_id`` is ``None``).

    ``rank`` counts public entries only, so it is the same for everyone who looks; with
    ``rank_best`` and ``rank_worst`` it is ``None`` for an entry without a headline value.
    """

    submission_id: uuid.UUID
    name: str
    owner: str
    is_private: bool
    is_withdrawn: bool
    run_id: int | None
    run_state: RunState | None
    seed: int | None
    n_seeds: int
    finished_at: datetime | None
    next: Average
    past: Average
    whole: Average
    rank: int | None = None
    rank_best: int | None = None
    rank_worst: int | None = None

    @property
    def is_scored(self) -> bool:
        return self.next.estimate.value is not None

    @property
    def is_live(self) -> bool:
        """Whether results are still to come."""
        return self.run_state is None or self.run_state in LIVE_RUN


def entries(edition: Edition, user: object) -> list[Entry]:
    """The detectors that ``user`` may see, best first, those without a value last.

    A detector's best run is the one with the highest headline value; without any, the
    one that started last. Three queries.
    """
    submissions = (
        Submission.objects.visible_to(user)
        .entered()
        .filter(benchmark=edition.benchmark_id)
        .select_related("team")
        .only("name", "visibility", "state", "team__name")
    )
    runs: dict[uuid.UUID, list[Run]] = defaultdict(list)
    for run in Run.objects.filter(edition=edition, submission__in=submissions):
        runs[run.submission_id].append(run)
    scores: dict[int, dict[str, Average]] = defaultdict(dict)
    for score in RunScore.objects.filter(run__edition=edition, run__submission__in=submissions):
        scores[score.run_id][score.period] = Average(
            Estimate(score.value, score.low, score.high), score.paper_value, score.n_windows
        )
    found = [_entry(submission, runs[submission.pk], scores) for submission in submissions]
    # Of what was taken back only scores are left to show.
    found = [entry for entry in found if entry.is_scored or not entry.is_withdrawn]
    return sorted(_ranked(found), key=_standing)


def _entry(submission: Submission, runs: list[Run], scores: dict[int, dict[str, Average]]) -> Entry:
    def merit(run: Run) -> tuple[bool, float, datetime]:
        value = scores[run.pk].get(Period.NEXT, Average()).estimate.value
        return value is not None, value or 0.0, run.created_at

    run = max(runs, key=merit, default=None)
    averages = scores[run.pk] if run else {}
    return Entry(
        submission_id=submission.pk,
        name=submission.name,
        owner=submission.team.name,
        is_private=submission.visibility == Visibility.PRIVATE,
        is_withdrawn=submission.state == SubmissionState.WITHDRAWN,
        run_id=run.pk if run else None,
        run_state=RunState(run.state) if run else None,
        seed=run.seed if run else None,
        n_seeds=len({other.seed for other in runs}),
        finished_at=run.finished_at if run else None,
        next=averages.get(Period.NEXT, Average()),
        past=averages.get(Period.PAST, Average()),
        whole=averages.get(Period.WHOLE, Average()),
    )


def _ranked(found: Iterable[Entry]) -> list[Entry]:
    found = list(found)
    public = [
        ranking.Entry(
            str(entry.submission_id),
            entry.next.estimate.value,
            entry.next.estimate.low,
            entry.next.estimate.high,
        )
        for entry in found
        if not entry.is_private
    ]
    ranks = {ranked.id: ranked for ranked in ranking.rank(public)}
    return [
        replace(entry, rank=ranked.rank, rank_best=ranked.best, rank_worst=ranked.worst)
        if (ranked := ranks.get(str(entry.submission_id)))
        else entry
        for entry in found
    ]


def _standing(entry: Entry) -> tuple[float, str]:
    value = entry.next.estimate.value
    return (2.0 if value is None else -value), entry.name.lower()
