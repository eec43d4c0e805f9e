"""Teams: who enters detectors together."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from leaderboard.models import Membership, Role, Team, User


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
