"""What the page shows on which a detector is entered: entries without archive, and the room of teams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from leaderboard.models import Submission, Team
from leaderboard.selectors.quotas import Quotas, quotas
from protocols.states import SubmissionState

UNFINISHED = (SubmissionState.DRAFT, SubmissionState.UPLOADING)


@dataclass(frozen=True)
class Room:
    """What a team may still hand in."""

    team: Team
    quotas: Quotas


def unfinished_entries(user: Any) -> QuerySet[Submission]:
    """Entries of the user's teams whose archive is missing or still coming, newest first."""
    return (
        Submission.objects.of(user)
        .filter(state__in=UNFINISHED)
        .select_related("benchmark__corpus", "team", "upload__owner")
        .order_by("-created_at")
    )


def rooms(teams: list[Team]) -> list[Room]:
    """Six queries a team."""
    return [Room(team, quotas(team)) for team in teams]
