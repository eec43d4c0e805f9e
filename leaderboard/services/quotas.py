"""Refusing what a team has no room for. A maintainer grants more on the desk."""

from __future__ import annotations

from leaderboard.models import Team
from leaderboard.selectors.quotas import Quotas, quotas
from protocols.errors import RequestError


def require_entry(team: Team) -> None:
    """Room for one more entry. The caller holds the team's row lock.

    Raises ``RequestError``: quota_submissions or quota_runs.
    """
    found = quotas(team)
    if not found.submissions_a_day.left:
        raise RequestError(
            "quota_submissions",
            f"The team {team.slug} handed in {found.submissions_a_day.used} entries in the last 24 hours; "
            f"{found.submissions_a_day.limit} are allowed.",
        )
    _require_run(team, found)


def require_run(team: Team) -> None:
    """Room for one more run. The caller holds the team's row lock. Raises ``RequestError('quota_runs')``."""
    _require_run(team, quotas(team))


def _require_run(team: Team, found: Quotas) -> None:
    if not found.active_runs.left:
        raise RequestError(
            "quota_runs",
            f"The team {team.slug} has {found.active_runs.used} checks and runs under way; "
            f"{found.active_runs.limit} are allowed.",
        )


def require_bytes(team: Team, size_bytes: int) -> None:
    """Room for an upload. The caller holds the team's row lock. Raises ``RequestError('quota_bytes')``."""
    stored = quotas(team).stored_bytes
    if size_bytes > stored.left:
        raise RequestError(
            "quota_bytes",
            f"The team {team.slug} keeps {stored.used} of {stored.limit} bytes; {stored.left} are left, "
            f"and {size_bytes} were declared.",
        )
