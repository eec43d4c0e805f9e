"""Which steps a run has, and the content-addressed keys under which their results are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.contract import VERSION, Phase

# The content hash of an empty state folder: of the canonical JSON of an empty list of files.
EMPTY_STATE = hashlib.sha256(b"[]").hexdigest()


@dataclass(frozen=True)
class PlannedStep:
    """A step of a run. It is ready when ``after`` (training of a window, or nothing) has succeeded."""

    phase: Phase
    window: int
    after: int | None


def plan(phases: Sequence[str], n_windows: int) -> list[PlannedStep]:
    """The steps of a run over ``n_windows`` closed windows, in the order in which they can run.

    Training of window k follows training of window k-1; prediction at window k follows
    training of window k. A detector without a training phase predicts at every window
    from the same empty state, so only its first prediction computes anything.
    """
    trains = Phase.TRAIN in phases
    steps = []
    for window in range(n_windows):
        if trains:
            steps.append(PlannedStep(Phase.TRAIN, window, window - 1 if window else None))
        steps.append(PlannedStep(Phase.PREDICT, window, window if trains else None))
    return steps


def mounted_windows(training_mode: str, window: int) -> list[int]:
    """The windows whose training images are mounted at ``window``, newest first (the official order)."""
    return list(range(window, -1, -1)) if training_mode == "cumulative" else [window]


def _digest(**parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def train_key(
    *,
    image_id: str,
    protocol_version: int,
    parent_state: str,
    manifests: Sequence[str],
    window: int,
    seed: int,
) -> str:
    """The key of a training step: 64 hex digits over everything that its result depends on.

    ``parent_state`` is the content hash of the state that the step starts from,
    ``manifests`` the hashes of the mounted windows in mounting order.
    """
    return _digest(
        kind="train",
        contract=VERSION,
        image=image_id,
        protocol=protocol_version,
        state=parent_state,
        manifests=list(manifests),
        window=window,
        seed=seed,
    )


def state_key(*, image_id: str, protocol_version: int, state: str, seed: int) -> str:
    """The key under which predictions are kept: the container and the content of its state.

    It does not name the window, so a state that training left unchanged is scored once.
    """
    return _digest(
        kind="state", contract=VERSION, image=image_id, protocol=protocol_version, state=state, seed=seed
    )
