"""A submission's life: its runs, their steps and everything that happened."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch, Q

from leaderboard.models import Event, Run, Step, Submission, Trial
from leaderboard.selectors.steps import RunSteps, cost_of, steps_of_runs
from leaderboard.selectors.visible import may_end, may_manage
from leaderboard.selectors.waits import Wait, wait_of, waits_of
from protocols.contract import Phase
from protocols.errors import PLATFORM_FAULTS
from protocols.states import ENDED_SUBMISSION, LIVE_RUN, RunState, StepState, SubmissionState


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
class Stage:
    """``standing`` is done, now, failed or ahead."""

    name: str
    standing: str


@dataclass(frozen=True)
class SubmissionReport:
    """``is_trusted``: the reader owns the submission or maintains the server.

    ``events``, ``trials``, ``log`` and the details of errors are only for them. ``waits``: what each
    step that does not run yet waits for, by its id; ``wait``: what the submission itself waits for.
    """

    submission: Submission
    runs: tuple[RunReport, ...]
    events: tuple[Event, ...]
    is_trusted: bool
    wait: Wait | None = None
    waits: Mapping[int, Wait] = field(default_factory=dict)
    cost_s: float | None = None
    may_end: bool = False
    trials: tuple[Trial, ...] = ()
    log: StepLog | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing will change without a new action of somebody."""
        if self.submission.state == SubmissionState.ACCEPTED:
            return all(report.is_final for report in self.runs)
        return self.submission.state in ENDED_SUBMISSION

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The road of an entry from its archive to its scores, and how far it is."""
        return _stages(self)

    @property
    def can_cancel(self) -> bool:
        return self.is_trusted and not self.is_final

    @property
    def can_retry(self) -> bool:
        """Whether something failed by a fault of the platform, and can go on."""
        return self.is_trusted and can_retry(self.submission, [report.run for report in self.runs])

    @property
    def can_withdraw(self) -> bool:
        return self.may_end and self.submission.state == SubmissionState.ACCEPTED

    @property
    def can_delete(self) -> bool:
        """Whether there are bytes to free, and nothing is under way that needs them."""
        if not self.may_end or not self.is_final:
            return False
        return bool(self.submission.archive) or self.submission.accepted_at is None


STAGES = ("Archive", "Check", "Trial", "Run")


def _stages(report: SubmissionReport) -> tuple[Stage, ...]:
    submission = report.submission
    reached = _reached(submission)
    over = submission.state in ENDED_SUBMISSION
    if submission.state == SubmissionState.ACCEPTED and report.runs and report.is_final:
        # An entry whose first run went well stays what it is when a further seed fails.
        edition = report.runs[0].run.edition_id
        went_well = any(
            each.run.edition_id == edition and each.run.state == RunState.SUCCEEDED for each in report.runs
        )
        over, reached = not went_well, reached + went_well
    elif submission.accepted_at and over:
        reached += 1
    names = ("done",) * reached + (("failed" if over else "now"),)
    standings = (*names, *("ahead",) * len(STAGES))[: len(STAGES)]
    return tuple(Stage(name, standing) for name, standing in zip(STAGES, standings, strict=True))


def _reached(submission: Submission) -> int:
    """How many stages an entry has passed: what it has to show for them tells, whatever its state."""
    if submission.accepted_at:
        return 3
    if submission.archive:
        return 2
    return 1 if submission.sealed_at else 0


def can_retry(submission: Submission, runs: Iterable[Run]) -> bool:
    """Whether ``submission_retry`` has anything to do."""
    if submission.state == SubmissionState.REJECTED:
        return submission.error_code in PLATFORM_FAULTS and bool(submission.archive or submission.upload_id)
    failed = any(run.state == RunState.FAILED and run.error_code in PLATFORM_FAULTS for run in runs)
    return submission.state == SubmissionState.ACCEPTED and failed and bool(submission.archive)


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
    A constant number of queries.
    """
    submission = (
        Submission.objects.visible_to(user)
        .select_related("owner", "team", "upload", "benchmark__corpus")
        .filter(pk=submission_id)
        .first()
    )
    if submission is None:
        return None
    # A log is long and only one is shown.
    steps = Step.objects.select_related("unit__generator").defer("log_tail")
    runs = tuple(
        RunReport(run, tuple(run.steps.all()))
        for run in submission.runs.select_related("edition__benchmark")
        .prefetch_related(Prefetch("steps", queryset=steps))
        .order_by("-created_at")
    )
    waits = waits_of(step for report in runs for step in report.steps)
    known: dict[str, Any] = {
        "wait": wait_of(submission, has_run=bool(runs)),
        "waits": waits,
        "cost_s": cost_of(submission),
    }
    if not may_manage(user, submission):
        return SubmissionReport(submission, runs, events=(), is_trusted=False, **known)
    events = (
        Event.objects.filter(
            Q(submission=submission) | Q(run__submission=submission) | Q(step__run__submission=submission)
        )
        .select_related("run", "step")
        .defer("step__log_tail")
        .order_by("id")
    )
    return SubmissionReport(
        submission,
        runs,
        tuple(events),
        is_trusted=True,
        may_end=may_end(user, submission),
        trials=tuple(submission.trials.all()),
        log=_log(runs, log_step),
        **known,
    )


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
