"""Signing up and in, and one's own account: address, password, tokens.

What concerns passwords and confirmations is django-allauth's; the pages and the words are ours.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from allauth.account import views
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leaderboard.models import AccessToken, User
from leaderboard.selectors.teams import own_teams, team_rows
from leaderboard.services.accounts import MAX_TOKENS, token_create, tokens_revoke
from leaderboard.services.teams import personal_team
from protocols.errors import RequestError

form_methods = require_http_methods(["GET", "HEAD", "POST"])


def signed_in(request: HttpRequest) -> User:
    """The reader of a page that is for users alone."""
    assert isinstance(request.user, User)
    return request.user


class PasswordReset(views.PasswordResetFromKeyView):  # type: ignore[misc]
    """Whoever resets a password may have lost the account to somebody, who may have made tokens."""

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        tokens_revoke(self.reset_user)
        return response


login = form_methods(views.login)
logout = form_methods(views.logout)
signup = form_methods(views.signup)
inactive = require_safe(views.account_inactive)
reauthenticate = login_required(form_methods(views.reauthenticate))
email = login_required(form_methods(views.email))
confirmation_sent = require_safe(views.email_verification_sent)
confirm_email = never_cache(form_methods(views.confirm_email))
password_change = login_required(form_methods(views.password_change))
password_set = login_required(form_methods(views.password_set))
password_reset = form_methods(views.password_reset)
password_reset_sent = require_safe(views.password_reset_done)
password_reset_from_key = never_cache(form_methods(PasswordReset.as_view()))
password_reset_done = require_safe(views.password_reset_from_key_done)


@login_required
@never_cache
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    personal_team(user)
    address = EmailAddress.objects.filter(user=user).order_by("-verified", "-primary").first()
    context = {
        "address": address.email if address else user.email,
        "is_confirmed": address is not None and address.verified,
        "confirms": settings.EMAIL_CONFIRMATION != "none",
        "n_tokens": user.auth_token_set.filter(expiry__gt=timezone.now()).count(),
        "teams": team_rows(own_teams(user), user),
        "here": "account",
    }
    return render(request, "account/account.html", context)


class TokenForm(forms.Form):
    name = forms.RegexField(r"^[^\x00-\x1f\x7f]+$", max_length=80, strip=True)
    days = forms.IntegerField(min_value=1, max_value=366)


DAYS = (7, 30, 90, 366)


@login_required
@never_cache
@form_methods
def tokens(request: HttpRequest) -> HttpResponse:
    """The list with the form. A new token is in the answer to the form, once and nowhere else."""
    user = signed_in(request)
    context: dict[str, Any] = {"days": DAYS, "chosen": 30, "name": "", "max": MAX_TOKENS, "here": "tokens"}
    status = 200
    if request.method == "POST":
        form = TokenForm(request.POST)
        if form.is_valid():
            ttl = timedelta(days=form.cleaned_data["days"])
            try:
                context["created"] = token_create(user, ttl=ttl, name=form.cleaned_data["name"])
                status = 201
            except RequestError as error:
                context["problem"], status = f"{error.detail} {error.entry.fix}", 409
        else:
            context["problem"], status = "A token has a name, and is valid for 1 to 366 days.", 400
            context["name"] = request.POST.get("name", "")[:80]
    context["tokens"] = AccessToken.objects.filter(user=user, expiry__gt=timezone.now())
    return render(request, "account/tokens.html", context, status=status)


@login_required
@require_POST
def token_revoke(request: HttpRequest, handle: uuid.UUID) -> HttpResponse:
    get_object_or_404(AccessToken.objects.filter(user=signed_in(request)), handle=handle).delete()
    messages.success(request, "The token is revoked. What still shows it is refused from now on.")
    return redirect("account-tokens")


@login_required
@require_POST
def tokens_revoke_all(request: HttpRequest) -> HttpResponse:
    number = tokens_revoke(signed_in(request))
    messages.success(request, f"All tokens are revoked ({number}).")
    return redirect("account-tokens")
