"""Teams: who enters detectors together, how people join and leave, what a team is granted.

Owners say who is a member; maintainers may do what owners may, and the log says so. Every change holds
the team's row lock, so that no two of them leave it without an owner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.signing import BadSignature, Signer
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from leaderboard.models import Invitation, Membership, Role, Team, User
from leaderboard.models.accounts import week_from_now
from leaderboard.services.audit import Verb, record
from leaderboard.services.boards import board_touch
from leaderboard.services.names import label_check, team_check
from protocols.errors import RequestError

log = structlog.get_logger(__name__)

MAX_OPEN_INVITATIONS = 20
MAX_MEMBERS = 50
RESEND_AFTER = timedelta(minutes=10)
# The link holds more than the id, which owners and backups of the database know.
SIGNER = Signer(salt="leaderboard.invitation", sep=".")


def personal_team(user: User) -> Team:
    """The team that is ``user`` alone, made on the first call."""
    team = Team.objects.filter(personal_of=user).first()
    return team or _make_personal(user)


def _make_personal(user: User) -> Team:
    slug = slugify(user.username)[:50] or "user"
    try:
        with transaction.atomic():
            if Team.objects.filter(slug=slug).exists():
                slug = f"{slug}-{user.pk}"
            team = Team.objects.create(slug=slug, name=user.username, personal_of=user)
            Membership.objects.create(team=team, user=user, role=Role.OWNER)
    except IntegrityError:
        # Made by another request in the same instant.
        team = Team.objects.get(personal_of=user)
    # What the object remembers of its teams is out of date now.
    user.__dict__.pop("roles", None)
    return team


@contextmanager
def _locked(team: Team) -> Iterator[Team]:
    with transaction.atomic():
        yield Team.objects.select_for_update().get(pk=team.pk)


def _by_maintainer(actor: User, team: Team, what: str) -> None:
    """One line of the log where somebody acts who is no owner of the team."""
    if actor.roles.get(team.pk) != Role.OWNER and actor.is_maintainer:
        record(actor, Verb.TEAM_CHANGED, team, what=what)


def _forget_roles(user: User) -> None:
    user.__dict__.pop("roles", None)


def team_create(*, owner: User, slug: str, name: str) -> Team:
    """Raises ``RequestError``: invalid for a slug that no team may have, conflict, team_limit."""
    team_check(slug)
    name = label_check(name)
    with transaction.atomic():
        # Two at once must not both find room.
        User.objects.select_for_update().get(pk=owner.pk)
        owned = Membership.objects.filter(user=owner, role=Role.OWNER, team__personal_of=None).count()
        if owned >= settings.QUOTA_TEAMS and not owner.is_maintainer:
            raise RequestError(
                "team_limit", f"{owner} owns {owned} teams; {settings.QUOTA_TEAMS} are allowed."
            )
        # Nobody takes the name under which somebody else's entries will stand.
        if Team.objects.filter(slug=slug).exists() or (
            User.objects.filter(username__iexact=slug).exclude(pk=owner.pk).exists()
        ):
            raise RequestError("conflict", f"The short name {slug} is taken.")
        team = Team.objects.create(slug=slug, name=name)
        Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    _forget_roles(owner)
    return team


def team_rename(team: Team, *, name: str, actor: User) -> Team:
    name = label_check(name)
    with _locked(team) as team:
        old, team.name = team.name, name
        board_touch(*team.submissions.order_by().values_list("benchmark", flat=True).distinct())
        team.save(update_fields=["name"])
        _by_maintainer(actor, team, f"renamed from {old!r}")
    return team


def team_delete(team: Team, *, actor: User) -> None:
    """Raises ``RequestError('team_in_use')`` for one with entries or uploads, and a personal one."""
    with _locked(team) as team:
        if team.personal_of_id is not None:
            raise RequestError("team_in_use", "A team that is one person goes with the account alone.")
        if team.submissions.exists() or team.uploads.exists():
            raise RequestError("team_in_use", f"The team {team.slug} has entries or uploads.")
        _by_maintainer(actor, team, "deleted")
        team.delete()
    _forget_roles(actor)


def _membership(team: Team, user: User) -> Membership:
    found = team.memberships.filter(user=user).first()
    if found is None:
        raise RequestError("not_found", f"{user} is no member of {team.slug}.")
    return found


def _keep_an_owner(team: Team, membership: Membership) -> None:
    others = team.memberships.filter(role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not others.exists():
        raise RequestError("last_owner", f"{membership.user} is the only owner of {team.slug}.")


def role_set(team: Team, user: User, *, role: str, actor: User) -> Membership:
    """Raises ``RequestError``: not_found for who is no member, last_owner."""
    with _locked(team) as team:
        membership = _membership(team, user)
        if membership.role == role:
            return membership
        if role != Role.OWNER:
            _keep_an_owner(team, membership)
        membership.role = role
        membership.save(update_fields=["role"])
        _by_maintainer(actor, team, f"{user} made {role}")
    _forget_roles(user)
    return membership


def hand_over(team: Team, user: User, *, actor: User) -> None:
    """Make another member owner and the caller a member, in one."""
    with transaction.atomic():
        role_set(team, user, role=Role.OWNER, actor=actor)
        if actor != user and actor.roles.get(team.pk) == Role.OWNER:
            role_set(team, actor, role=Role.MEMBER, actor=actor)


def member_remove(team: Team, user: User, *, actor: User) -> None:
    """Take somebody out of a team, or leave it. What they entered stays with the team.

    Raises ``RequestError``: not_found, last_owner.
    """
    with _locked(team) as team:
        membership = _membership(team, user)
        _keep_an_owner(team, membership)
        if actor != user:
            _by_maintainer(actor, team, f"{user} removed")
        membership.delete()
    _forget_roles(user)


def invite(team: Team, *, email: str, role: str, actor: User) -> Invitation:
    """Send a link by which one person may join, once, within seven days.

    The same happens whether the address has an account or not. Raises ``RequestError``: invalid for an
    address that is none, personal_team, conflict, invitation_limit.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise RequestError("invalid", "This is no e-mail address.") from error
    with _locked(team) as team:
        if team.personal_of_id is not None:
            raise RequestError("personal_team", f"{team.slug} is one person; make a team and invite to it.")
        team.invitations.filter(expires_at__lt=timezone.now()).delete()
        if team.invitations.filter(email=email).exists():
            raise RequestError("conflict", f"{email} is invited already; send the link again.")
        if team.memberships.count() + team.invitations.count() >= MAX_MEMBERS or (
            team.invitations.count() >= MAX_OPEN_INVITATIONS
        ):
            raise RequestError(
                "invitation_limit",
                f"A team has at most {MAX_MEMBERS} members and {MAX_OPEN_INVITATIONS} open invitations.",
            )
        found = Invitation.objects.create(team=team, email=email, role=role, invited_by=actor)
        _by_maintainer(actor, team, f"{email} invited as {role}")
        transaction.on_commit(lambda: _send(found))
    return found


def invitation_resend(invitation: Invitation, *, actor: User) -> Invitation:
    """Send the link again, good for seven days from now. Raises ``RequestError('invitation_limit')``."""
    with _locked(invitation.team):
        invitation = Invitation.objects.select_related("team").get(pk=invitation.pk)
        now = timezone.now()
        if invitation.sent_at > now - RESEND_AFTER:
            raise RequestError("invitation_limit", f"The link went to {invitation.email} just now.")
        invitation.sent_at, invitation.expires_at, invitation.invited_by = now, week_from_now(), actor
        invitation.save(update_fields=["sent_at", "expires_at", "invited_by"])
        transaction.on_commit(lambda: _send(invitation))
    return invitation


def invitation_revoke(invitation: Invitation, *, actor: User) -> None:
    """Whoever holds the link can do nothing with it any more."""
    with _locked(invitation.team) as team:
        Invitation.objects.filter(pk=invitation.pk).delete()
        _by_maintainer(actor, team, f"invitation of {invitation.email} revoked")


def invitation_key(invitation: Invitation) -> str:
    """What the link holds."""
    return SIGNER.sign(str(invitation.pk))


def invitation_of(key: str) -> Invitation | None:
    """The invitation that a link stands for, if it is valid still."""
    try:
        pk = SIGNER.unsign(key)
    except BadSignature:
        return None
    return (
        Invitation.objects.filter(pk=pk, expires_at__gt=timezone.now())
        .select_related("team", "invited_by")
        .first()
    )


def invitation_accept(key: str, *, user: User) -> Membership:
    """Join the team; the link is used up. Raises ``RequestError``: not_found, conflict for a member."""
    found = invitation_of(key)
    if found is None:
        raise RequestError("not_found", "The invitation has expired, was taken back or was used already.")
    with _locked(found.team) as team:
        if team.memberships.filter(user=user).exists():
            raise RequestError("conflict", f"You are a member of {team.slug} already.")
        # Of two that open the link in the same instant, one deletes the row.
        deleted, _ = Invitation.objects.filter(pk=found.pk).delete()
        if not deleted:
            raise RequestError("not_found", "The invitation has expired, was taken back or was used already.")
        membership = Membership.objects.create(team=team, user=user, role=found.role)
    _forget_roles(user)
    return membership


def _send(invitation: Invitation) -> None:
    """A mail server that is away must not undo the invitation: the owner can send the link again."""
    address = settings.SITE_URL.rstrip("/") + reverse("invitation", args=[invitation_key(invitation)])
    context = {
        "invitation": invitation,
        "team": invitation.team,
        "address": address,
        "site": settings.SITE_URL,
    }
    subject = f"Tidemark: join the team {invitation.team.name}"
    body = render_to_string("teams/invitation.txt", context)
    try:
        EmailMessage(" ".join(subject.split()), body, to=[invitation.email]).send()
    except (OSError, SMTPException) as error:
        log.error("mail_lost", to=invitation.email, error=str(error))


QUOTA_FIELDS = ("max_submissions_a_day", "max_active_runs", "max_stored_bytes")


def quotas_set(team: Team, *, actor: User, reason: str, **limits: int | None) -> Team:
    """What a maintainer grants; ``None`` is the server's default. Names are those of ``QUOTA_FIELDS``."""
    with _locked(team) as team:
        old = {name: getattr(team, name) for name in limits}
        for name, limit in limits.items():
            setattr(team, name, limit)
        team.save(update_fields=list(limits))
        changed = {
            name: {"old": old[name], "new": limit} for name, limit in limits.items() if limit != old[name]
        }
        if changed:
            record(actor, Verb.QUOTAS_SET, team, reason=reason, **changed)
    return team
