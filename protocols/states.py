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
    SubmissionState.UPLOADING: frozenset({SubmissionState.CHECKING, SubmissionState.WITHDRAWN}),
    SubmissionState.CHECKING: frozenset(
        {SubmissionState.ACCEPTED, SubmissionState.REJECTED, SubmissionState.WITHDRAWN}
    ),
    SubmissionState.ACCEPTED: frozenset({SubmissionState.WITHDRAWN}),
    SubmissionState.REJECTED: frozenset(),
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
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

STEP: Table = {
    StepState.WAITING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {StepState.READY, StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.SUCCEEDED: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
}


class IllegalMoveError(ValueError):
    """A move that the table does not list."""


def check_move(table: Table, old: str, new: str) -> None:
    """Raise :class:`IllegalMoveError` unless ``table`` lists ``old`` → ``new``."""
    legal = {str(state): {str(s) for s in targets} for state, targets in table.items()}
    if new not in legal.get(old, ()):
        raise IllegalMoveError(f"{old} → {new}; legal from here: {sorted(legal.get(old, ())) or 'nothing'}")


def is_final(table: Table, state: str) -> bool:
    """Whether nothing leads out of ``state``."""
    return not {str(s): t for s, t in table.items()}[state]
