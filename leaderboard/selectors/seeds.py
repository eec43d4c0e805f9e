"""The seeds that an entry runs with, and what one more would take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.conf import settings

from leaderboard.models import Benchmark, Edition, Run, Submission
from leaderboard.selectors.quotas import Quota, quotas
from leaderboard.selectors.steps import steps_of_runs
from leaderboard.selectors.timelines import newest_edition
from protocols.errors import RequestError
from protocols.states import ACTIVE_RUN, LIVE_RUN, RunState, SubmissionState


@dataclass(frozen=True)
class SeedOffer:
    """What a team is shown before it runs an entry with another seed.

    ``seeds``: those that it has, ``next_seed``: the lowest that is free. ``measured``: the run that
    tells what another takes, ``cost_s`` its container seconds so far, ``None`` where nothing was
    measured. ``active_runs``: the team's quota.
    """

    seeds: tuple[int, ...]
    next_seed: int
    measured: Run
    cost_s: float | None
    active_runs: Quota

    @property
    def is_whole(self) -> bool:
        """Whether ``cost_s`` is that of all windows."""
        return self.measured.state == RunState.SUCCEEDED


def planned_runs(benchmark: Benchmark) -> list[tuple[Submission, int]]:
    """Every active entry with every seed that it runs with on an edition that opens. Two queries.

    These are the seed that it was entered with and all with which a run of it is under way or
    succeeded, on whatever edition: a seed that has scores stays, or the worst could be left out
    later. A further seed whose runs all failed or were cancelled is not taken up again.
    """
    active = Submission.objects.filter(benchmark=benchmark, state=SubmissionState.ACCEPTED, null_row="")
    seeds: dict[Any, set[int]] = defaultdict(set)
    runs = Run.objects.filter(submission__in=active, state__in=ACTIVE_RUN).order_by()
    for submission, seed in runs.values_list("submission", "seed").distinct():
        seeds[submission].add(seed)
    return [(entry, seed) for entry in active for seed in sorted({entry.seed} | seeds[entry.pk])]


def seeds_of(submission: Submission, runs: Sequence[Run]) -> set[int]:
    """All seeds that an entry ever had. One whose run failed or was cancelled counts too: nobody draws
    seeds until they like one."""
    return {submission.seed, *(run.seed for run in runs)}


def seed_refusal(submission: Submission, edition: Edition | None, runs: Sequence[Run]) -> RequestError | None:
    """Why no further seed of an entry can run on the newest edition; ``None`` when one can.

    ``runs``: all that the entry ever had.
    """
    name = submission.name
    if submission.null_row:
        return RequestError("illegal_transition", f"{name} is a null row of the server, which has one seed.")
    if submission.state != SubmissionState.ACCEPTED:
        return RequestError("illegal_transition", f"{name} is {submission.state}, and not accepted.")
    if not submission.archive:
        return RequestError("illegal_transition", f"The archive of {name} is gone; enter it anew.")
    if edition is None:
        return RequestError("illegal_transition", f"There is no edition yet that {name} could run on.")
    if not any(run.edition_id == edition.pk and run.state in ACTIVE_RUN for run in runs):
        return RequestError(
            "illegal_transition",
            f"{name} has no run on edition {edition.number} that is under way or succeeded.",
        )
    return None


def seed_offer(submission: Submission) -> SeedOffer | None:
    """What a further seed of an entry would take; ``None`` where there can be none. Nine queries at most."""
    edition = newest_edition(submission.benchmark)
    runs = list(submission.runs.order_by("created_at", "pk"))
    seeds = seeds_of(submission, runs)
    if seed_refusal(submission, edition, runs) or len(seeds) >= settings.MAX_SEEDS:
        return None
    assert edition is not None
    active = [run for run in runs if run.edition_id == edition.pk and run.state in ACTIVE_RUN]
    # One that is over knows the whole cost.
    measured = min(active, key=lambda run: run.state in LIVE_RUN)
    steps = steps_of_runs([measured.pk]).get(measured.pk)
    return SeedOffer(
        seeds=tuple(sorted(seeds)),
        next_seed=next(seed for seed in count() if seed not in seeds),
        measured=measured,
        cost_s=steps.cost_s if steps else None,
        active_runs=quotas(submission.team).active_runs,
    )
