"""The log of what maintainers do. Every service that acts for one writes here, in its own transaction."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from leaderboard.models import Action


class Verb(StrEnum):
    CORPUS_CREATED = "corpus created"
    GENERATOR_CREATED = "generator created"
    GENERATOR_WITHDRAWN = "generator withdrawn"
    GENERATOR_REDATED = "release date corrected"
    BATCH_CREATED = "batch created"
    BATCH_SUBMITTED = "batch submitted"
    BATCH_PUBLISHED = "batch published"
    BENCHMARK_CREATED = "benchmark created"
    SCORES_SHARED = "scores of images shared"
    SCORES_KEPT = "scores of images kept"
    WINDOW_CLOSED = "window closed"
    EDITION_OPENED = "edition opened"
    BUDGET_CHANGED = "budget changed"
    SAMPLES_SHOWN = "samples shown"
    SAMPLES_HIDDEN = "samples hidden"
    STORAGE_FREED = "storage freed"
    QUOTAS_SET = "quotas set"
    TEAM_CHANGED = "team changed"
    ACCOUNT_CLOSED = "account closed"
    ACCOUNT_REOPENED = "account reopened"


def record(actor: object, verb: Verb, subject: object, *, reason: str = "", **detail: Any) -> Action:
    """Write one line of the log. ``actor`` is a user, or the name of a part of the server."""
    return Action.objects.create(
        actor=str(actor)[:200], verb=verb, subject=str(subject)[:200], reason=reason, detail=detail
    )
