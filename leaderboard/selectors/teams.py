"""Teams as their members, and the desk, see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from leaderboard.models import Invitation, Membership, Role, Team, User
from leaderboard.models.submissions import teams_of
from leaderboard.selectors.quotas import Quotas, quotas
from leaderboard.selectors.visible import is_maintainer
from leaderboard.services.names import SERVER_NAME


def visible_teams(user: Any) -> QuerySet[Team]:
    """The user's own teams; maintainers see all but the server's own, visitors none."""
    found = Team.objects.select_related("personal_of").exclude(slug=SERVER_NAME)
    if is_maintainer(user):
        return found
    if not user.is_authenticated:
        return found.none()
    return found.filter(pk__in=teams_of(user))


def may_own(user: Any, team: Team) -> bool:
    """Whether ``user`` says who is a member: the team's owners and maintainers do."""
    return is_maintainer(user) or getattr(user, "roles", {}).get(team.pk) == Role.OWNER


def members(team: Team) -> QuerySet[Membership]:
    """Owners first, then in the order in which they joined."""
    return team.memberships.select_related("user").order_by("-role", "joined_at", "pk")


def open_invitations(team: Team) -> QuerySet[Invitation]:
    return team.invitations.filter(expires_at__gt=timezone.now()).select_related("team", "invited_by")


@dataclass(frozen=True)
class TeamRow:
    team: Team
    role: str | None
    quotas: Quotas
    n_members: int
    n_entries: int

    @property
    def is_personal(self) -> bool:
        return self.team.personal_of_id is not None


def team_rows(teams: QuerySet[Team], user: User) -> list[TeamRow]:
    """Each team with what it uses of its quotas (four queries a team)."""
    counted = teams.annotate(
        n_members=Count("memberships", distinct=True), n_entries=Count("submissions", distinct=True)
    )
    return [
        TeamRow(team, user.roles.get(team.pk), quotas(team), team.n_members, team.n_entries)
        for team in counted
    ]


def own_teams(user: User) -> QuerySet[Team]:
    """The user's teams, the personal one first."""
    return Team.objects.filter(pk__in=teams_of(user)).order_by("personal_of", "slug")


def teams_found(text: str) -> QuerySet[Team]:
    """The desk's search: by a part of a short name, a name, a member's name or address."""
    found = Team.objects.select_related("personal_of").exclude(slug=SERVER_NAME).order_by("slug")
    if not text:
        return found
    member = Membership.objects.filter(
        Q(user__username__icontains=text) | Q(user__email__icontains=text), team=OuterRef("pk")
    )
    return found.filter(Q(slug__icontains=text) | Q(name__icontains=text) | Exists(member))
