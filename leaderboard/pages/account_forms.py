"""The forms of the account pages, in the words of this site."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account import forms

from leaderboard.services.names import USERNAME_RULE

PASSWORD_RULE = "At least 8 characters, and none of the passwords that everybody uses."  # noqa: S105
ADDRESS_USE = "Only for this account: to confirm it, and to reset your password."


class Plain:
    """Labels and help as given here, and no placeholders: they vanish when they are needed."""

    words: ClassVar[dict[str, tuple[str, str]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():  # type: ignore[attr-defined]
            field.label, field.help_text = self.words.get(name, (field.label, ""))
            field.widget.attrs.pop("placeholder", None)
            if name in ("login", "username"):
                field.widget.attrs |= {"autocapitalize": "none", "spellcheck": "false"}


class LoginForm(Plain, forms.LoginForm):  # type: ignore[misc]
    words = {"login": ("User name or e-mail address", ""), "password": ("Password", "")}


class SignupForm(Plain, forms.SignupForm):  # type: ignore[misc]
    words = {
        "username": ("User name", f"Everybody sees it beside what you enter. {USERNAME_RULE}"),
        "email": ("E-mail address", ADDRESS_USE),
        "password1": ("Password", PASSWORD_RULE),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs |= {"maxlength": "39"}


class AddEmailForm(Plain, forms.AddEmailForm):  # type: ignore[misc]
    words = {"email": ("New address", "It takes the place of the present one as soon as you confirm it.")}


class ChangePasswordForm(Plain, forms.ChangePasswordForm):  # type: ignore[misc]
    words = {
        "oldpassword": ("Present password", ""),
        "password1": ("New password", PASSWORD_RULE),
        "password2": ("New password, again", ""),
    }


class SetPasswordForm(Plain, forms.SetPasswordForm):  # type: ignore[misc]
    words = {"password1": ("Password", PASSWORD_RULE), "password2": ("Password, again", "")}


class ResetPasswordForm(Plain, forms.ResetPasswordForm):  # type: ignore[misc]
    words = {"email": ("E-mail address of your account", "")}


class ResetPasswordKeyForm(Plain, forms.ResetPasswordKeyForm):  # type: ignore[misc]
    words = {"password1": ("New password", PASSWORD_RULE), "password2": ("New password, again", "")}


class ReauthenticateForm(Plain, forms.ReauthenticateForm):  # type: ignore[misc]
    words = {"password": ("Password", "")}
