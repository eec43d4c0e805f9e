"""Accounts and the tokens that stand for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from leaderboard.models import AccessToken, User
from leaderboard.selectors.subscriptions import webhooks
from leaderboard.services.audit import Verb, record
from leaderboard.services.names import username_check
from leaderboard.services.subscriptions import subscription_end
from leaderboard.services.teams import personal_team
from protocols.errors import RequestError

MAX_TOKENS = 50
# A token's last use is written once in so long: a row written at every request would cost more than it tells.
USE_IS_NEWS_AFTER = timedelta(minutes=1)


class NewToken(NamedTuple):
    """A token as it is shown once; only its hash is kept."""

    token: str
    expires_at: datetime
    handle: str
    name: str


def token_create(user: User, *, ttl: timedelta, name: str = "") -> NewToken:
    """Raises ``RequestError('token_limit')`` when the user has as many as one may have."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        user.auth_token_set.filter(expiry__lt=timezone.now()).delete()
        if user.auth_token_set.count() >= MAX_TOKENS:
            raise RequestError("token_limit", f"{user} has {MAX_TOKENS} tokens that are valid.")
        row, token = AccessToken.objects.create(user, expiry=ttl, name=name)
    return NewToken(token, row.expiry, str(row.handle), row.name)


def token_for_password(
    *, username: str, password: str, ttl: timedelta, name: str = "", request: HttpRequest
) -> NewToken:
    """Raises ``RequestError``: authentication_failed for a wrong name, password or a closed account, or
    throttled after too many wrong passwords, counted together with those on the page.
    """
    try:
        user = get_adapter(request).authenticate(request, username=username, password=password)
    except ValidationError as error:
        raise RequestError("throttled", "Too many wrong passwords; wait five minutes.") from error
    if not isinstance(user, User) or not user.is_active:
        raise RequestError("authentication_failed", "The user name or the password is wrong.")
    return token_create(user, ttl=ttl, name=name)


def token_used(token: AccessToken) -> None:
    """Remember that a token was shown, at most once a minute."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - USE_IS_NEWS_AFTER:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_IS_NEWS_AFTER)
        AccessToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def tokens_revoke(user: User) -> int:
    """End all tokens of a user; returns how many were valid."""
    valid = user.auth_token_set.filter(expiry__gt=timezone.now()).count()
    user.auth_token_set.all().delete()
    return valid


def user_ensure(username: str, *, maintainer: bool = False, email: str = "") -> User:
    """The user of this name, made without a password if there is none, and a maintainer if asked for.

    Raises ``RequestError('invalid')`` for a name that no account may have.
    """
    user = User.objects.filter(username=username).first()
    if user is None:
        username_check(username)
        user = User(username=username, email=email)
        user.set_unusable_password()
    if maintainer:
        user.is_staff = True
    user.save()
    if email and not EmailAddress.objects.filter(user=user).exists():
        # An operator vouches for it.
        EmailAddress.objects.create(user=user, email=email.lower(), verified=True, primary=True)
    personal_team(user)
    return user


def password_link(user: User) -> str:
    """Where a user sets a password, once and within three days; the link of a mail that resets one."""
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    link: str = get_adapter().get_reset_password_from_key_url(key)
    return link


def account_close(user: User, *, actor: User, reason: str) -> None:
    """End what an account can do: its tokens, its sessions, its webhooks. What its teams entered stays.

    Raises ``RequestError('conflict')`` when it is the caller's own or closed already.
    """
    if user == actor:
        raise RequestError("conflict", "Nobody closes the own account: another maintainer can.")
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if not user.is_active:
            raise RequestError("conflict", f"The account {user} is closed already.")
        user.is_active = False
        # Sessions are signed with the password's hash: were the account opened again, they stay ended.
        user.set_unusable_password()
        user.save(update_fields=["is_active", "password"])
        n_tokens = tokens_revoke(user)
        for webhook in webhooks(user):
            subscription_end(webhook)
        record(actor, Verb.ACCOUNT_CLOSED, user, reason=reason, tokens=n_tokens)


def account_reopen(user: User, *, actor: User, reason: str = "") -> None:
    """Let a closed account in again. Its owner sets a new password by mail.

    Raises ``RequestError('conflict')`` when it is open.
    """
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if user.is_active:
            raise RequestError("conflict", f"The account {user} is open.")
        user.is_active = True
        user.save(update_fields=["is_active"])
        record(actor, Verb.ACCOUNT_REOPENED, user, reason=reason)
