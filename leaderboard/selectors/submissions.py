"""A submission's life: its runs, their steps and everything that happened."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, Q

from leaderboard.models import Event, Run, Step, Submission
from leaderboard.selectors.steps import RunSteps, steps_of_runs
from leaderboard.selectors.visible import may_manage
from protocols.contract import Phase
from protocols.states import ENDED_SUBMISSION, LIVE_RUN, StepState, SubmissionState


@dataclass(frozen=True)
class RunReport:
    run: Run
    steps: tuple[Step, ...]

    @property
    def progress(self) -> float:
        """Share done of all steps, 0 to 1."""
        return sum(step.progress for step in self.steps) / len(self.steps) if self.steps else 0.0

    @property
    def is_final(self) -> bool:
        return self.run.state not in LIVE_RUN


@dataclass(frozen=True)
class StepLog:
    """The end of what a step's container wrote."""

    step: Step
    text: str


@dataclass(frozen=True)
class SubmissionReport:
    """``is_trusted``: the reader owns the submission or maintains the server.

    ``events``, ``log`` and the details of errors are only for them.
    """

    submission: Submission
    runs: tuple[RunReport, ...]
    events: tuple[Event, ...]
    is_trusted: bool
    log: StepLog | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing will change without a new action of somebody."""
        if self.submission.state == SubmissionState.ACCEPTED:
            return all(report.is_final for report in self.runs)
        return self.submission.state in ENDED_SUBMISSION

    @property
    def can_cancel(self) -> bool:
        return self.is_trusted and not self.is_final


@dataclass(frozen=True)
class SubmissionRow:
    """A line of somebody's list, with the run that started last and its steps."""

    submission: Submission
    run: Run | None
    steps: RunSteps


def submission_report(
    submission_id: uuid.UUID, user: Any, *, log_step: int | None = None
) -> SubmissionReport | None:
    """What ``user`` may see of a submission; ``None`` when that is nothing.

    ``log_step``: the training step whose log is wanted; without one, the last that
    failed. What a container prints while it sees evaluation images is nobody's to read.
    At most five queries.
    """
    submission = (
        Submission.objects.visible_to(user)
        .select_related("owner", "team", "benchmark__corpus")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        return None
    # A log is long and only one is shown.
    steps = Step.objects.select_related("unit__generator").defer("log_tail")
    runs = tuple(
        RunReport(run, tuple(run.steps.all()))
        for run in submission.runs.select_related("edition")
        .prefetch_related(Prefetch("steps", queryset=steps))
        .order_by("-created_at")
    )
    if not may_manage(user, submission):
        return SubmissionReport(submission, runs, events=(), is_trusted=False)
    events = (
        Event.objects.filter(
            Q(submission=submission) | Q(run__submission=submission) | Q(step__run__submission=submission)
        )
        .select_related("run", "step")
        .defer("step__log_tail")
        .order_by("id")
    )
    return SubmissionReport(submission, runs, tuple(events), is_trusted=True, log=_log(runs, log_step))


def _log(runs: tuple[RunReport, ...], step_id: int | None) -> StepLog | None:
    steps = [step for report in runs for step in report.steps if step.phase == Phase.TRAIN]
    wanted = [step for step in steps if (step.pk == step_id if step_id else step.state == StepState.FAILED)]
    return StepLog(wanted[-1], wanted[-1].log_tail) if wanted else None


def submissions_of(user: Any) -> list[SubmissionRow]:
    """What the user's teams entered, newest first. Three queries."""
    submissions = list(
        Submission.objects.of(user).select_related("benchmark__corpus", "team").order_by("-created_at")
    )
    newest: dict[uuid.UUID, Run] = {}
    for run in Run.objects.filter(submission__in=submissions).order_by("created_at"):
        newest[run.submission_id] = run
    steps = steps_of_runs([run.pk for run in newest.values()])

    def row(submission: Submission) -> SubmissionRow:
        run = newest.get(submission.pk)
        return SubmissionRow(submission, run, steps.get(run.pk, RunSteps()) if run else RunSteps())

    return [row(submission) for submission in submissions]
