"""Routes of accounts and teams. By names that begin with ``account_`` allauth finds its pages."""

from django.urls import path, re_path

from leaderboard.pages import accounts, teams

urlpatterns = [
    path("login/", accounts.login, name="account_login"),
    path("login/", accounts.login, name="login"),
    path("logout/", accounts.logout, name="account_logout"),
    path("logout/", accounts.logout, name="logout"),
    path("signup/", accounts.signup, name="account_signup"),
    path("signup/sent/", accounts.confirmation_sent, name="account_email_verification_sent"),
    re_path(r"^signup/confirm/(?P<key>[-:\w]+)/$", accounts.confirm_email, name="account_confirm_email"),
    path("password/reset/", accounts.password_reset, name="account_reset_password"),
    path("password/reset/sent/", accounts.password_reset_sent, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$",
        accounts.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/done/", accounts.password_reset_done, name="account_reset_password_from_key_done"),
    path("account/", accounts.account, name="account"),
    path("account/closed/", accounts.inactive, name="account_inactive"),
    path("account/email/", accounts.email, name="account_email"),
    path("account/password/", accounts.password_change, name="account_change_password"),
    path("account/password/set/", accounts.password_set, name="account_set_password"),
    path("account/again/", accounts.reauthenticate, name="account_reauthenticate"),
    path("account/tokens/", accounts.tokens, name="account-tokens"),
    path("account/tokens/revoke/", accounts.tokens_revoke_all, name="account-tokens-revoke"),
    path("account/tokens/<uuid:handle>/revoke/", accounts.token_revoke, name="account-token-revoke"),
    path("teams/", teams.teams, name="teams"),
    path("teams/<slug:slug>/", teams.team, name="team"),
    path("teams/<slug:slug>/rename/", teams.rename, name="team-rename"),
    path("teams/<slug:slug>/delete/", teams.delete, name="team-delete"),
    path("teams/<slug:slug>/invite/", teams.invite, name="team-invite"),
    path(
        "teams/<slug:slug>/invitations/<uuid:invitation_id>/resend/",
        teams.invitation_resend,
        name="team-invitation-resend",
    ),
    path(
        "teams/<slug:slug>/invitations/<uuid:invitation_id>/revoke/",
        teams.invitation_revoke,
        name="team-invitation-revoke",
    ),
    path("teams/<slug:slug>/members/<str:username>/role/", teams.member_role, name="team-member-role"),
    path("teams/<slug:slug>/members/<str:username>/remove/", teams.member_remove, name="team-member-remove"),
    path("invitations/<str:key>/", teams.invitation, name="invitation"),
    path("desk/teams/", teams.desk_teams, name="desk-teams"),
    path("desk/teams/<slug:slug>/", teams.desk_team, name="desk-team"),
    path("desk/teams/<slug:slug>/quotas/", teams.desk_quotas, name="desk-team-quotas"),
    path("desk/accounts/<str:username>/close/", teams.desk_account_close, name="desk-account-close"),
    path("desk/accounts/<str:username>/reopen/", teams.desk_account_reopen, name="desk-account-reopen"),
]
