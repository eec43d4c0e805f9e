"""Whose claim a container belongs to."""

from __future__ import annotations

from evaluator.trials import LABEL, is_current_trial
from leaderboard.models import Step
from protocols.states import StepState


def is_current(label: str, token: int) -> bool:
    """Whether a container that carries these labels belongs to a claim that still stands.

    ``label`` is the number of a step, or ``trial-`` and the id of a submission.
    """
    if label.startswith(LABEL):
        return is_current_trial(label, token)
    return Step.objects.filter(pk=label, lease_token=token, state=StepState.RUNNING).exists()
