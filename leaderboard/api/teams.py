"""Teams, their members and invitations; and, for maintainers, what a team is granted and who may come in."""

from __future__ import annotations

import uuid
from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from leaderboard.api.auth import MaintainerOnly
from leaderboard.api.base import Filters, Input, created
from leaderboard.api.idempotency import idempotent
from leaderboard.api.throttling import InvitationThrottle, UserThrottle
from leaderboard.models import Invitation, Membership, Role, Team, User
from leaderboard.models.submissions import teams_of
from leaderboard.selectors.teams import may_own, members, open_invitations, team_rows, visible_teams
from leaderboard.services.accounts import account_close, account_reopen
from leaderboard.services.teams import (
    QUOTA_FIELDS,
    invitation_accept,
    invitation_resend,
    invitation_revoke,
    invite,
    member_remove,
    quotas_set,
    role_set,
    team_create,
    team_delete,
    team_rename,
)

# The largest of PostgreSQL's integers, of four bytes and of eight.
MAX_INT, MAX_BIGINT = 2**31 - 1, 2**63 - 1


def _user(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def _named(username: str) -> User:
    """Some user. PostgreSQL knows no zero bytes, which an address may hold."""
    return get_object_or_404(User, username=username.replace("\0", "/"))


class QuotaOutput(serializers.Serializer[Any]):
    used = serializers.IntegerField()
    limit = serializers.IntegerField()


class QuotasOutput(serializers.Serializer[Any]):
    submissions_a_day = QuotaOutput(help_text="Handed in during the last 24 hours, or being uploaded.")
    active_runs = QuotaOutput(help_text="Checks, trials and runs under way; each seed has a run of its own.")
    stored_bytes = QuotaOutput(help_text="Kept archives, and uploads as they were declared.")


class TeamOutput(serializers.Serializer[Any]):
    """What is made of a ``TeamRow``."""

    slug = serializers.SlugField(source="team.slug")
    name = serializers.CharField(source="team.name")
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True, help_text="Yours; null: none.")
    is_personal = serializers.BooleanField(help_text="Whether it is one person alone.")
    members = serializers.IntegerField(source="n_members")
    entries = serializers.IntegerField(source="n_entries")
    quotas = QuotasOutput()
    created_at = serializers.DateTimeField(source="team.created_at")


class MemberOutput(serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ["username", "role", "joined_at"]


class InvitationOutput(serializers.ModelSerializer[Invitation]):
    role = serializers.ChoiceField(choices=Role.choices)
    invited_by = serializers.CharField(source="invited_by.username")

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "invited_by", "created_at", "sent_at", "expires_at"]


class TeamInput(Input):
    slug = serializers.CharField(max_length=59, help_text="Its short name, which does not change.")
    name = serializers.CharField(max_length=120)


class TeamChange(Input):
    name = serializers.CharField(max_length=120)


class RoleInput(Input):
    role = serializers.ChoiceField(choices=Role.choices)


class InvitationInput(Input):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.MEMBER)


class QuotasInput(Input):
    """What is left out stays; null is the server's default."""

    submissions_a_day = serializers.IntegerField(
        min_value=0, max_value=MAX_INT, allow_null=True, required=False
    )
    active_runs = serializers.IntegerField(min_value=0, max_value=MAX_INT, allow_null=True, required=False)
    stored_bytes = serializers.IntegerField(
        min_value=0, max_value=MAX_BIGINT, allow_null=True, required=False
    )
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class AccountReasonInput(Input):
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


def team_data(team: Team, user: User) -> dict[str, Any]:
    (row,) = team_rows(Team.objects.filter(pk=team.pk), user)
    return dict(TeamOutput(row).data)


class TeamFilter(Filters):
    mine = django_filters.BooleanFilter(method="filter_mine", label="Only your own, or only others'.")
    member = django_filters.CharFilter(field_name="members__username", label="Of this user.")

    def filter_mine(self, rows: QuerySet[Team], name: str, mine: bool) -> QuerySet[Team]:
        own = teams_of(self.request.user.pk)
        return rows.filter(pk__in=own) if mine else rows.exclude(pk__in=own)


class Teams(generics.ListAPIView[Team]):
    """Your teams with their quotas; maintainers see all."""

    permission_classes = (IsAuthenticated,)
    serializer_class = TeamOutput
    filterset_class = TeamFilter
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[Team]:
        return visible_teams(self.request.user)

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        pks = [team.pk for team in page or ()]
        return team_rows(Team.objects.filter(pk__in=pks).order_by("slug"), _user(self.request))

    @extend_schema(request=TeamInput, responses={201: TeamOutput})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Make a team, whose owner you are."""
        team = team_create(owner=_user(request), **TeamInput.parse(request))
        return created(
            TeamOutput(team_rows(Team.objects.filter(pk=team.pk), _user(request))[0]), "team", team.slug
        )


class TeamView(APIView):
    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)

    def team(self, request: Request, slug: str) -> Team:
        """A team that the caller may see: its members and maintainers do."""
        return get_object_or_404(visible_teams(request.user), slug=slug)

    def owned(self, request: Request, slug: str) -> Team:
        """A team whose members the caller may choose: its owners and maintainers do."""
        team = self.team(request, slug)
        if not may_own(request.user, team):
            raise PermissionDenied("Only owners of the team may do this.")
        return team


class TeamDetail(TeamView):
    @extend_schema(responses=TeamOutput)
    def get(self, request: Request, slug: str) -> Response:
        """A team with its quotas."""
        return Response(team_data(self.team(request, slug), _user(request)))

    @extend_schema(request=TeamChange, responses=TeamOutput)
    def patch(self, request: Request, slug: str) -> Response:
        """Give a team another name. Its short name stays."""
        team = self.owned(request, slug)
        team = team_rename(team, name=TeamChange.parse(request)["name"], actor=_user(request))
        return Response(team_data(team, _user(request)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a team that has no entries."""
        team_delete(self.owned(request, slug), actor=_user(request))
        return Response(status=204)


class TeamMembers(TeamView):
    @extend_schema(responses=MemberOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Who is in a team, owners first."""
        return Response(MemberOutput(members(self.team(request, slug)), many=True).data)


class TeamMember(TeamView):
    def membership(self, team: Team, username: str) -> Membership:
        return get_object_or_404(members(team), user=_named(username))

    @extend_schema(responses=MemberOutput)
    def get(self, request: Request, slug: str, username: str) -> Response:
        """One member of a team."""
        return Response(MemberOutput(self.membership(self.team(request, slug), username)).data)

    @extend_schema(request=RoleInput, responses=MemberOutput)
    def patch(self, request: Request, slug: str, username: str) -> Response:
        """Make a member an owner, or an owner a member."""
        team = self.owned(request, slug)
        user = self.membership(team, username).user
        role = RoleInput.parse(request)["role"]
        return Response(MemberOutput(role_set(team, user, role=role, actor=_user(request))).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Take somebody out of a team, or leave it. What they entered stays with the team."""
        team = self.team(request, slug)
        user = self.membership(team, username).user
        if user != request.user:
            self.owned(request, slug)
        member_remove(team, user, actor=_user(request))
        return Response(status=204)


class InvitingView(TeamView):
    """What sends mail to people who did not ask for it counts on its own too."""

    def get_throttles(self) -> list[BaseThrottle]:
        return [UserThrottle(), *([InvitationThrottle()] if self.request.method == "POST" else [])]


class TeamInvitations(InvitingView):
    @extend_schema(responses=InvitationOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Invitations that nobody has used yet, for the team's owners."""
        return Response(InvitationOutput(open_invitations(self.owned(request, slug)), many=True).data)

    @extend_schema(request=InvitationInput, responses={201: InvitationOutput})
    @idempotent()
    def post(self, request: Request, slug: str) -> Response:
        """Send somebody a link by which to join, once, within seven days."""
        team = self.owned(request, slug)
        data = InvitationInput.parse(request)
        found = invite(team, email=data["email"], role=data["role"], actor=_user(request))
        return created(InvitationOutput(found), "team-invitation", team.slug, found.pk)


class TeamInvitation(TeamView):
    def invitation(self, request: Request, slug: str, invitation_id: uuid.UUID) -> Invitation:
        return get_object_or_404(open_invitations(self.owned(request, slug)), pk=invitation_id)

    @extend_schema(responses=InvitationOutput)
    def get(self, request: Request, slug: str, invitation_id: uuid.UUID) -> Response:
        """One open invitation."""
        return Response(InvitationOutput(self.invitation(request, slug, invitation_id)).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, invitation_id: uuid.UUID) -> Response:
        """Take an invitation back."""
        invitation_revoke(self.invitation(request, slug, invitation_id), actor=_user(request))
        return Response(status=204)


class TeamInvitationResend(InvitingView):
    @extend_schema(request=None, responses=InvitationOutput)
    def post(self, request: Request, slug: str, invitation_id: uuid.UUID) -> Response:
        """Send the link again, ten minutes after the last time at the earliest."""
        found = get_object_or_404(open_invitations(self.owned(request, slug)), pk=invitation_id)
        return Response(InvitationOutput(invitation_resend(found, actor=_user(request))).data)


class InvitationAccept(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=TeamOutput)
    def post(self, request: Request, key: str) -> Response:
        """Join a team with the key in the invitation's link."""
        membership = invitation_accept(key, user=_user(request))
        return Response(team_data(membership.team, _user(request)))


class TeamQuotas(TeamView):
    permission_classes = (MaintainerOnly,)

    @extend_schema(request=QuotasInput, responses=TeamOutput)
    def patch(self, request: Request, slug: str) -> Response:
        """Grant a team other bounds than the server's."""
        team = self.team(request, slug)
        data = QuotasInput.parse(request)
        reason = cast(str, data.pop("reason"))
        limits = {f"max_{name}": limit for name, limit in data.items()}
        assert set(limits) <= set(QUOTA_FIELDS)
        team = quotas_set(team, actor=_user(request), reason=reason, **limits)
        return Response(team_data(team, _user(request)))


class AccountOutput(serializers.Serializer[Any]):
    username = serializers.CharField()
    is_active = serializers.BooleanField()


class AccountAction(APIView):
    permission_classes = (MaintainerOnly,)

    def answer(self, username: str) -> Response:
        return Response(AccountOutput(User.objects.get(username=username)).data)


class AccountClose(AccountAction):
    @extend_schema(request=AccountReasonInput, responses=AccountOutput)
    def post(self, request: Request, username: str) -> Response:
        """End an account: its tokens, its sessions, its webhooks. What its teams entered stays."""
        user = _named(username)
        account_close(user, actor=_user(request), reason=AccountReasonInput.parse(request)["reason"])
        return self.answer(username)


class AccountReopen(AccountAction):
    @extend_schema(request=AccountReasonInput, responses=AccountOutput)
    def post(self, request: Request, username: str) -> Response:
        """Let a closed account in again; its owner sets a new password by mail."""
        user = _named(username)
        account_reopen(user, actor=_user(request), reason=AccountReasonInput.parse(request)["reason"])
        return self.answer(username)
