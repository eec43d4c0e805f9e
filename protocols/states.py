"""Every state and every legal move, for the four things that have a life of their own.

``leaderboard.services.moves.move`` is the only code that writes a state; it consults
this table under a row lock and leaves one event row a move.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class SubmissionState(StrEnum):
    DRAFT = "draft"
    UPLOADING = "uploading"
    CHECKING = "checking"
    TRIAL = "trial"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class BatchState(StrEnum):
    UPLOADING = "uploading"
    CHECKING = "checking"
    SEALED = "sealed"
    PUBLISHED = "published"
    REJECTED = "rejected"


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Submissions that a worker holds, or that wait for one.
CHECKED = (SubmissionState.CHECKING, SubmissionState.TRIAL)
# Submissions that are over. A rejected one can begin again where the platform was at fault.
ENDED_SUBMISSION = (SubmissionState.REJECTED, SubmissionState.WITHDRAWN)
# Runs and steps that have not ended yet.
LIVE_RUN = (RunState.QUEUED, RunState.RUNNING)
LIVE_STEP = (StepState.WAITING, StepState.READY, StepState.RUNNING)
# Runs that an arrival is shown to: those that failed or were cancelled have no last checkpoint.
ACTIVE_RUN = (*LIVE_RUN, RunState.SUCCEEDED)

Table = Mapping[StrEnum, frozenset[StrEnum]]

SUBMISSION: Table = {
    SubmissionState.DRAFT: frozenset(
        {SubmissionState.UPLOADING, SubmissionState.CHECKING, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.UPLOADING: frozenset(
        {SubmissionState.DRAFT, SubmissionState.CHECKING, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.CHECKING: frozenset(
        {SubmissionState.TRIAL, SubmissionState.REJECTED, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.TRIAL: frozenset(
        {SubmissionState.ACCEPTED, SubmissionState.REJECTED, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.ACCEPTED: frozenset({SubmissionState.WITHDRAWN}),
    # After a fault of the platform the check, or the trial, can be tried again.
    SubmissionState.REJECTED: frozenset(
        {SubmissionState.CHECKING, SubmissionState.TRIAL, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.WITHDRAWN: frozenset(),
}

BATCH: Table = {
    BatchState.UPLOADING: frozenset({BatchState.CHECKING, BatchState.REJECTED}),
    BatchState.CHECKING: frozenset({BatchState.SEALED, BatchState.REJECTED}),
    BatchState.SEALED: frozenset({BatchState.PUBLISHED, BatchState.REJECTED}),
    BatchState.PUBLISHED: frozenset(),
    BatchState.REJECTED: frozenset(),
}

RUN: Table = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    # After a fault of the platform a run can go on where it stopped.
    RunState.FAILED: frozenset({RunState.QUEUED}),
    RunState.CANCELLED: frozenset(),
}

STEP: Table = {
    StepState.WAITING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {StepState.READY, StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.SUCCEEDED: frozenset(),
    # A run that goes on takes up its steps again.
    StepState.FAILED: frozenset({StepState.WAITING}),
    StepState.CANCELLED: frozenset({StepState.WAITING}),
}


class IllegalMoveError(ValueError):
    """A move that the table does not list."""


def check_move(table: Table, old: str, new: str) -> None:
    """Raise :class:`IllegalMoveError` unless ``table`` lists ``old`` → ``new``."""
    legal = {str(state): {str(s) for s in targets} for state, targets in table.items()}
    if new not in legal.get(old, ()):
        raise IllegalMoveError(f"{old} → {new}; legal from here: {sorted(legal.get(old, ())) or 'nothing'}")
