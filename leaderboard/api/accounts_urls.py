"""Routes of accounts: tokens, teams, invitations."""

from django.urls import path

from leaderboard.api.teams import (
    AccountClose,
    AccountReopen,
    InvitationAccept,
    TeamDetail,
    TeamInvitation,
    TeamInvitationResend,
    TeamInvitations,
    TeamMember,
    TeamMembers,
    TeamQuotas,
    Teams,
)
from leaderboard.api.tokens import CurrentToken, Me, TokenDetail, Tokens

urlpatterns = [
    path("tokens/", Tokens.as_view(), name="tokens"),
    path("tokens/current/", CurrentToken.as_view(), name="token"),
    path("tokens/<uuid:handle>/", TokenDetail.as_view(), name="token-detail"),
    path("me/", Me.as_view(), name="me"),
    path("teams/", Teams.as_view(), name="teams"),
    path("teams/<slug:slug>/", TeamDetail.as_view(), name="team"),
    path("teams/<slug:slug>/quotas/", TeamQuotas.as_view(), name="team-quotas"),
    path("teams/<slug:slug>/members/", TeamMembers.as_view(), name="team-members"),
    path("teams/<slug:slug>/members/<str:username>/", TeamMember.as_view(), name="team-member"),
    path("teams/<slug:slug>/invitations/", TeamInvitations.as_view(), name="team-invitations"),
    path(
        "teams/<slug:slug>/invitations/<uuid:invitation_id>/",
        TeamInvitation.as_view(),
        name="team-invitation",
    ),
    path(
        "teams/<slug:slug>/invitations/<uuid:invitation_id>/resend/",
        TeamInvitationResend.as_view(),
        name="team-invitation-resend",
    ),
    path("invitations/<str:key>/accept/", InvitationAccept.as_view(), name="invitation-accept"),
    path("accounts/<str:username>/close/", AccountClose.as_view(), name="account-close"),
    path("accounts/<str:username>/reopen/", AccountReopen.as_view(), name="account-reopen"),
]
