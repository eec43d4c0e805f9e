"""What this site decides of django-allauth's account pages: names, addresses in mail, who may sign up."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from leaderboard.limits import client_address
from leaderboard.models import User
from leaderboard.services.names import RESERVED, username_check
from leaderboard.services.teams import personal_team
from protocols.errors import RequestError

log = structlog.get_logger(__name__)


def site_address(path: str) -> str:
    """A link for a mail. It begins with ``SITE_URL``, which no request can choose."""
    return f"{settings.SITE_URL.rstrip('/')}{path}"


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    # What people read where something is wrong, in the words of this site.
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": "The name or the password is wrong.",
        "email_password_mismatch": "The address or the password is wrong.",
        "too_many_login_attempts": "Too many wrong passwords. Wait five minutes, or reset your password.",
        "username_taken": "This name is taken.",
        "email_taken": "This address can't be used.",
        "enter_current_password": "This is not your present password.",
        "incorrect_password": "This is not your password.",
        "invalid_password_reset": "The link has expired or was used already.",
        "duplicate_email": "This is your address already.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGNUP == "open")

    def clean_username(self, username: str, shallow: bool = False) -> str:
        try:
            username_check(username)
        except RequestError as error:
            raise ValidationError(error.detail) from error
        if username.lower() in RESERVED:
            raise ValidationError("This name is reserved.")
        name: str = super().clean_username(username, shallow=shallow)
        return name.lower()

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return site_address(path.replace("UID-KEY", key))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return site_address(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is away must fail no page, and must not tell who has an account."""
        known = {
            "email": email,
            "site": settings.SITE_URL,
            "signup_url": site_address(reverse("account_signup")),
            "password_reset_url": site_address(reverse("account_reset_password")),
            "is_open": settings.SIGNUP == "open",
        }
        try:
            self.render_mail(template_prefix, email, known | context).send()
        except (OSError, SMTPException) as error:
            log.error("mail_lost", kind=template_prefix, error=str(error))

    def send_account_already_exists_mail(self, email: str) -> None:
        self.send_mail("account/email/account_already_exists", email, {})

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        saved: User = super().save_user(request, user, form, commit=commit)
        if commit:
            personal_team(saved)
        return saved
