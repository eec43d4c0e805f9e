"""Signing up and in, addresses and passwords, and tokens on their page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import LazySettings
from django.core import mail
from django.core.cache import cache
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from leaderboard.models import AccessToken, Team, User
from leaderboard.services.accounts import token_create
from tests.leaderboard.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
NEW = "an entirely new phrase"


@pytest.fixture(autouse=True)
def no_limit_left_over() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def sign_up(client: Client, name: str, email: str = "", **fields: str) -> Any:
    email = email or f"{name}@example.org"
    return client.post("/signup/", {"username": name, "email": email, "password1": PASSWORD, **fields})


def link(pattern: str, index: int = -1) -> str:
    """The path of the link in a mail, which begins with ``SITE_URL``."""
    body = str(mail.outbox[index].body)
    return re.search(rf"http://127\.0\.0\.1:8000(/{pattern}\S+)", body)[1]  # type: ignore[index]


def user_with_address(**fields: Any) -> User:
    user = UserFactory(email="ada@example.org", **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def test_whoever_signs_up_is_in_has_a_team_and_confirms_the_address(client: Client) -> None:
    answer = sign_up(client, "Grace.H", next="")
    assert answer.url == "/account/"
    user = User.objects.get(username="grace.h")
    assert Team.objects.get(personal_of=user).slug == "graceh"
    assert "not confirmed" in client.get("/account/").content.decode()
    confirm = link("signup/confirm/")
    assert not EmailAddress.objects.get().verified
    page = Client().get(confirm).content.decode()
    assert "grace.h@example.org" in page
    assert not EmailAddress.objects.get().verified, "a program that looks into mail confirms nothing"
    client.post(confirm)
    assert EmailAddress.objects.get().verified
    assert "✓ confirmed" in client.get("/account/").content.decode()


@pytest.mark.parametrize(
    "name", ["admin", "Server", "tidemark", "a b", "-x", "x" * 40, "ünal", "a@b", "<b>", "a/b", "a\x00b"]
)
def test_names_are_plain_bounded_and_not_reserved(client: Client, name: str) -> None:
    answer = sign_up(client, name, "someone@example.org")
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not User.objects.exists()


def test_a_name_is_taken_in_any_spelling(client: Client) -> None:
    UserFactory(username="Grace")
    assert "This name is taken." in sign_up(client, "grace").content.decode()
    assert client.post("/login/", {"login": "GRACE", "password": PASSWORD}).url == "/"


@pytest.mark.parametrize("password", ["short", "password123"])
def test_weak_passwords_are_refused(client: Client, password: str) -> None:
    assert sign_up(client, "grace", password1=password).status_code == 200
    assert not User.objects.exists()


def test_signing_up_does_not_tell_who_has_an_account(client: Client) -> None:
    user_with_address()
    known, unknown = sign_up(Client(), "one", "ada@example.org"), sign_up(Client(), "two", "new@example.org")
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    claim = EmailAddress.objects.get(user__username="one")
    assert not claim.set_verified(), "the address stays with whoever confirmed it"


def test_where_addresses_must_be_confirmed_nothing_is_told_either(settings: LazySettings) -> None:
    settings.EMAIL_CONFIRMATION = settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_PREVENT_ENUMERATION = True
    user_with_address()
    known, unknown = sign_up(Client(), "one", "ada@example.org"), sign_up(Client(), "two", "new@example.org")
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url) == (302, "/signup/sent/")
    assert [message.subject for message in mail.outbox] == [
        "Tidemark: you have an account already",
        "Tidemark: confirm your address",
    ]
    assert not User.objects.filter(username="one").exists()
    browser = Client()
    refused = browser.post("/login/", {"login": "two", "password": PASSWORD})
    assert refused.url == "/signup/sent/"
    assert browser.get("/account/").status_code == 302, "not in before it is confirmed"
    Client().post(link("signup/confirm/"))
    assert browser.post("/login/", {"login": "two", "password": PASSWORD}).url == "/"


def test_a_closed_server_makes_no_accounts(client: Client, settings: LazySettings) -> None:
    settings.SIGNUP = "closed"
    assert "makes no accounts" in client.get("/signup/").content.decode()
    sign_up(client, "grace")
    assert not User.objects.exists()
    assert "/signup/" not in client.get("/login/").content.decode()


def test_people_sign_in_by_name_or_address_and_a_closed_account_does_not(client: Client) -> None:
    user = user_with_address(username="ada")
    for login in ("ADA", "ada@example.org"):
        browser = Client()
        assert (
            browser.post("/login/", {"login": login, "password": PASSWORD, "next": "/teams/"}).url
            == "/teams/"
        )
    assert (
        Client().post("/login/", {"login": "ada", "password": PASSWORD, "next": "//evil.example"}).url == "/"
    )
    user.is_active = False
    user.save()
    assert client.post("/login/", {"login": "ada", "password": PASSWORD}).url == "/account/closed/"
    assert client.get("/account/").status_code == 302


def test_guessing_passwords_is_limited_per_account_and_per_address(client: Client) -> None:
    user = user_with_address(username="ada")
    for _ in range(5):
        answer = client.post("/login/", {"login": "ada", "password": "wrong"})
        assert "The name or the password is wrong." in answer.content.decode()
    answer = client.post("/login/", {"login": user.username, "password": PASSWORD})
    assert "Too many wrong passwords" in answer.content.decode()
    statuses = [client.post("/login/", {"login": f"n{n}", "password": "x"}).status_code for n in range(30)]
    assert statuses[-1] == 429
    assert "429" in client.post("/login/", {"login": "n", "password": "x"}).content.decode()


def test_a_forgotten_password_is_reset_once_and_ends_tokens_and_sessions(client: Client) -> None:
    user = user_with_address(username="ada")
    from datetime import timedelta

    token_create(user, ttl=timedelta(days=1))
    elsewhere = Client()
    elsewhere.force_login(user)
    assert client.post("/password/reset/", {"email": "ADA@example.org"}).url == "/password/reset/sent/"
    assert mail.outbox[0].to == ["ada@example.org"]
    reset = link("password/reset/key/")
    form = client.get(reset)
    assert reset.split("-", 1)[1] not in form.url, "the key leaves the address"
    done = client.post(form.url, {"password1": NEW, "password2": NEW})
    assert done.url == "/password/reset/done/"
    assert not AccessToken.objects.exists()
    assert elsewhere.get("/account/").status_code == 302
    assert client.post("/login/", {"login": "ada", "password": NEW}).url == "/"
    assert "leads nowhere" in Client().get(reset).content.decode()
    assert mail.outbox[-1].subject == "Tidemark: your password was reset"


def test_resetting_does_not_tell_who_has_an_account() -> None:
    user_with_address()
    known = Client().post("/password/reset/", {"email": "ada@example.org"})
    unknown = Client().post("/password/reset/", {"email": "nobody@example.org"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert len(mail.outbox) == 2, "both send a mail, so both take as long"
    statuses = [
        Client().post("/password/reset/", {"email": "nobody@example.org"}).status_code for _ in range(5)
    ]
    assert statuses == [302] * 4 + [429]


def test_links_in_mail_begin_with_the_sites_own_address(client: Client, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    user_with_address()
    client.post("/password/reset/", {"email": "ada@example.org"}, headers={"Host": "evil.example"})
    assert "evil.example" not in str(mail.outbox[0].body)
    assert link("password/reset/key/")


class Away(EmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("no mail server")


def test_a_mail_server_that_is_away_fails_no_page(client: Client, settings: LazySettings) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Away"
    assert sign_up(client, "grace").url == "/account/"
    assert Client().post("/password/reset/", {"email": "grace@example.org"}).status_code == 302


def test_changing_the_password_keeps_this_session_and_ends_the_others(client: Client) -> None:
    user = user_with_address(username="ada")
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.post("/login/", {"login": "ada", "password": PASSWORD})
    wrong = client.post("/account/password/", {"oldpassword": "x", "password1": NEW, "password2": NEW})
    assert "not your present password" in wrong.content.decode()
    right = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert client.post("/account/password/", right).url == "/account/"
    assert client.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302
    assert mail.outbox[-1].to == [user.email]


def test_a_new_address_takes_over_when_it_is_confirmed(client: Client) -> None:
    user = user_with_address(username="ada")
    client.post("/login/", {"login": "ada", "password": PASSWORD})
    answer = client.post("/account/email/", {"action_add": "1", "email": "ada@new.example"})
    # The password is asked for again, and then what was asked for is done.
    again = client.post(answer.url, {"password": PASSWORD, "next": "/account/email/"})
    assert again.url == "/account/email/"
    user.refresh_from_db()
    assert user.email == "ada@example.org"
    client.post(link("signup/confirm/"))
    user.refresh_from_db()
    assert user.email == "ada@new.example"
    assert EmailAddress.objects.get(user=user).email == "ada@new.example"


def test_a_session_that_is_old_must_show_the_password_before_the_address_changes(client: Client) -> None:
    client.force_login(user_with_address())
    answer = client.post("/account/email/", {"action_add": "1", "email": "thief@example.org"})
    assert answer.url.startswith("/account/again/")
    assert not EmailAddress.objects.filter(email="thief@example.org").exists()


def test_a_token_is_shown_once_and_revoked_by_its_button(client: Client) -> None:
    user = UserFactory()
    client.force_login(user)
    made = client.post("/account/tokens/", {"name": "<b>laptop</b>", "days": "7"})
    assert made.status_code == 201
    token = re.search(r"<pre[^>]*>(\w{64})</pre>", made.content.decode())[1]  # type: ignore[index]
    assert made.headers["Cache-Control"].count("no-store") == 1
    page = client.get("/account/tokens/").content.decode()
    assert token not in page
    assert "&lt;b&gt;laptop" in page
    api = Client(headers={"Authorization": f"Token {token}"})
    assert api.get("/api/v1/me/").json()["username"] == user.username
    handle = AccessToken.objects.get().handle
    assert client.post(f"/account/tokens/{handle}/revoke/").url == "/account/tokens/"
    assert api.get("/api/v1/me/").status_code == 401
    assert client.post("/account/tokens/", {"name": "", "days": "7"}).status_code == 400
    assert client.post("/account/tokens/", {"name": "x", "days": "367"}).status_code == 400
