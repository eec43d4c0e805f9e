"""Accounts and the tokens that stand for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth import authenticate
from django.http import HttpRequest

from leaderboard.models import AccessToken, User
from protocols.errors import RequestError


class NewToken(NamedTuple):
    """A token as it is shown once; only its hash is kept."""

    token: str
    expires_at: datetime


def token_create(user: User, *, ttl: timedelta, name: str = "") -> NewToken:
    row, token = AccessToken.objects.create(user, expiry=ttl, name=name)
    return NewToken(token, row.expiry)


def token_for_password(
    *, username: str, password: str, ttl: timedelta, request: HttpRequest | None = None
) -> NewToken:
    """Raises ``RequestError('authentication_failed')`` for a wrong name, password or a closed account."""
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise RequestError("authentication_failed", "The user name or the password is wrong.")
    return token_create(user, ttl=ttl)


def user_ensure(username: str, *, maintainer: bool = False) -> User:
    """The user of this name, made without a password if there is none, and a maintainer if asked for."""
    user, created = User.objects.get_or_create(username=username)
    if created:
        user.set_unusable_password()
    if maintainer:
        user.is_staff = True
    user.save()
    return user
