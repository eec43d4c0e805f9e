"""Why something does not run yet, and for how long it probably will not.

Expectations are medians of what work of the same kind took on the same benchmark in the last
month. They are guesses, and shown as such: who enters something later may get a turn before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import (
    Aggregate,
    BooleanField,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    FloatField,
    Q,
    Sum,
)
from django.db.models.functions import Extract
from django.utils import timezone

from leaderboard.models import Step, Submission, Trial, WorkerBeat
from leaderboard.selectors.desk.workers import WorkerState, worker_state
from leaderboard.selectors.waiting import ready_queue, trials_in_turn
from protocols.contract import Phase
from protocols.states import CHECKED, StepState, SubmissionState

MEASURED = timedelta(days=30)
IS_ARRIVAL = ExpressionWrapper(Q(unit__isnull=False), output_field=BooleanField())


@dataclass(frozen=True)
class Wait:
    """``what_for`` follows "waits for". ``position`` is the place in the queue, from 1.

    ``expected_s``: seconds until it probably begins; ``None`` where nothing like it was measured yet,
    or where it depends on somebody.
    """

    what_for: str
    position: int | None = None
    expected_s: float | None = None


class Median(Aggregate):
    """PostgreSQL's ``percentile_cont`` at one half."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def measured_seconds(benchmarks: Iterable[int]) -> Mapping[tuple[object, ...], float]:
    """The median seconds of steps that ran in a container, by benchmark, phase and whether it is a first
    contact. One query.
    """
    took = Extract(ExpressionWrapper(F("finished_at") - F("started_at"), DurationField()), "epoch")
    rows = (
        Step.objects.filter(
            state=StepState.SUCCEEDED,
            reused=False,
            finished_at__gt=timezone.now() - MEASURED,
            run__edition__benchmark__in=set(benchmarks),
        )
        .order_by()
        .annotate(is_arrival=IS_ARRIVAL)
        .values("run__edition__benchmark", "phase", "is_arrival")
        .annotate(seconds=Median(took))
    )
    return {(row["run__edition__benchmark"], row["phase"], row["is_arrival"]): row["seconds"] for row in rows}


def waits_of(steps: Iterable[Step]) -> dict[int, Wait]:
    """What each of ``steps`` waits for, if it does; five queries, or none.

    The steps' runs and their editions with benchmarks are read already.
    """
    waiting = [step for step in steps if step.state in (StepState.WAITING, StepState.READY)]
    if not waiting:
        return {}
    found = {step.pk: Wait(_parent(step)) for step in waiting if step.state == StepState.WAITING}
    ready = {step.pk: step for step in waiting if step.state == StepState.READY}
    return found | (_places(ready) if ready else {})


def _parent(step: Step) -> str:
    if step.phase == Phase.PREDICT:
        return f"training on window {step.window}"
    return f"training on window {step.window - 1}"


def _places(ready: dict[int, Step]) -> dict[int, Wait]:
    """The place of each ready step, and the seconds of all work before it, shared among the workers."""
    gpus = [len(beat.gpus) for beat in alive_workers()]
    kind = ("run__edition__benchmark", "phase", "is_arrival")
    running = list(
        Step.objects.filter(state=StepState.RUNNING)
        .annotate(is_arrival=IS_ARRIVAL)
        .values_list("key", "started_at", *kind)
    )
    queue = list(ready_queue().values_list("pk", *kind))
    medians = measured_seconds({row[-3] for row in (*queue, *running)})
    now = timezone.now()
    before: list[float | None] = []
    for _, started_at, *of in running:
        median = medians.get(tuple(of))
        before.append(None if median is None else max(0.0, median - (now - started_at).total_seconds()))
    twins = {row[0] for row in running}
    waits = {}
    for position, (pk, *of) in enumerate(queue, start=1):
        if (step := ready.get(pk)) is not None:
            waits[pk] = _wait(step, position, before, sum(n >= step.gpus for n in gpus), twins)
        before.append(medians.get(tuple(of)))
    return waits


def _wait(step: Step, position: int, before: list[float | None], n_workers: int, twins: set[str]) -> Wait:
    edition = step.run.edition
    if not n_workers:
        need = f" with {step.gpus} GPU{'s' if step.gpus > 1 else ''}" if step.gpus else ""
        return Wait(f"a worker{need}: none is there", position)
    if step.phase == Phase.TRAIN and edition.budget_s is not None and edition.spent_s >= edition.budget_s:
        return Wait("a maintainer to grant more training on this edition", position)
    if step.key in twins:
        return Wait("the same work of another entry, whose result it takes", position)
    if step.not_before is not None and step.not_before > timezone.now():
        rest_s = (step.not_before - timezone.now()).total_seconds()
        return Wait("another attempt after a fault of ours", position, rest_s)
    known = [seconds for seconds in before if seconds is not None]
    # One that is unknown could be anything.
    expected_s = sum(known) / n_workers if len(known) == len(before) else None
    if len(before) < n_workers:
        expected_s = 0.0
    ahead = {1: "it is the next", 2: "one step is before it"}
    before_it = ahead.get(position, f"{position - 1} steps are before it")
    return Wait(f"its turn: {before_it}", position, expected_s)


def alive_workers() -> list[WorkerBeat]:
    """The workers that take steps and can. One query."""
    now = timezone.now()
    beats = WorkerBeat.objects.filter(stopped_at__isnull=True, takes__contains=["steps"])
    return [beat for beat in beats if worker_state(beat, now) == WorkerState.ALIVE]


def wait_of(submission: Submission, *, has_run: bool) -> Wait | None:
    """What a submission waits for before its first run; ``None`` once it has one, or when it is over."""
    if submission.state == SubmissionState.DRAFT:
        return Wait("its image archive")
    if submission.state == SubmissionState.UPLOADING:
        return Wait("the rest of its image archive")
    if submission.state in CHECKED:
        return _check(submission)
    if submission.state == SubmissionState.ACCEPTED and not has_run:
        return Wait("the benchmark's first edition")
    return None


def _check(submission: Submission) -> Wait | None:
    if submission.lease_token is not None:
        return None
    if submission.state == SubmissionState.CHECKING:
        earlier = Submission.objects.filter(state=submission.state, created_at__lt=submission.created_at)
        return Wait("a worker to check its archive", earlier.count() + 1)
    line = list(trials_in_turn().values_list("pk", flat=True))
    if submission.pk not in line:
        # A worker took it in the meantime.
        return None
    before = line.index(submission.pk)
    took = Trial.objects.filter(created_at__gt=timezone.now() - MEASURED).aggregate(
        seconds=Sum("seconds"), n=Count("submission", distinct=True)
    )
    expected_s = before * took["seconds"] / took["n"] if took["n"] else None
    return Wait("a worker to try it on sample images", before + 1, expected_s)
