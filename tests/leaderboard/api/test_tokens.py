"""Tokens: made, known by name, used, revoked; and who is asking."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from leaderboard.models import AccessToken, User
from leaderboard.services.accounts import MAX_TOKENS, token_create
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/tokens/"


def with_token(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def error(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.content
    return str(answer.json()["errors"][0]["code"])


def test_a_password_makes_a_token_that_has_a_name_and_an_end(submitter: User, visitor: APIClient) -> None:
    body = {"username": submitter.username.upper(), "password": PASSWORD, "name": "laptop", "days": 7}
    made = visitor.post(TOKENS, body).json()
    assert made["name"] == "laptop"
    row = AccessToken.objects.get(handle=made["handle"])
    assert row.user == submitter
    assert timedelta(days=6) < row.expiry - timezone.now() <= timedelta(days=7)
    assert made["token"] not in (row.digest, row.token_key), "only a hash is kept"
    (listed,) = with_token(made["token"]).get(TOKENS).json()["results"]
    assert set(listed) == {"handle", "name", "created_at", "expires_at", "last_used_at", "is_current"}
    assert (listed["handle"], listed["is_current"]) == (made["handle"], True)


def test_a_session_makes_a_token_with_its_csrf_token_and_a_token_makes_none(submitter: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(submitter)
    assert browser.post(TOKENS, {}, content_type="application/json").status_code == 403
    browser.get("/account/tokens/")
    answer = browser.post(
        TOKENS,
        {"name": "phone"},
        content_type="application/json",
        headers={"X-CSRFToken": browser.cookies["csrftoken"].value},
    )
    assert answer.status_code == 201
    thief = with_token(answer.json()["token"])
    assert error(thief.post(TOKENS, {"name": "another"}), 401) == "not_authenticated"


@pytest.mark.parametrize("name", ["a\nb", "\x00", "x" * 81])
def test_a_name_is_one_short_line(submitter: User, visitor: APIClient, name: str) -> None:
    body = {"username": submitter.username, "password": PASSWORD, "name": name}
    assert error(visitor.post(TOKENS, body), 400) == "invalid"


def test_people_see_and_revoke_their_own_tokens_alone(owner: APIClient, client_of: ClientOf) -> None:
    other = client_of(UserFactory())
    (theirs,) = other.get(TOKENS).json()["results"]
    assert theirs["handle"] not in str(owner.get(TOKENS).json())
    assert owner.delete(f"{TOKENS}{theirs['handle']}/").status_code == 404
    assert other.delete(f"{TOKENS}{theirs['handle']}/").status_code == 204
    assert error(other.get(TOKENS), 401) == "authentication_failed"
    assert owner.get(TOKENS).status_code == 200


def test_all_tokens_are_revoked_at_once(owner: APIClient, submitter: User, client_of: ClientOf) -> None:
    second = client_of(submitter)
    bystander = client_of(UserFactory())
    assert owner.delete(TOKENS).status_code == 204
    assert second.get(TOKENS).status_code == 401
    assert bystander.get(TOKENS).status_code == 200


def test_the_last_use_is_written_at_most_once_a_minute(owner: APIClient, submitter: User) -> None:
    def seen() -> Any:
        return submitter.auth_token_set.get().last_used_at

    assert seen() is None
    owner.get("/api/v1/corpora/")
    first = seen()
    assert timezone.now() - first < timedelta(seconds=30)
    owner.get("/api/v1/corpora/")
    assert seen() == first
    submitter.auth_token_set.update(last_used_at=timezone.now() - timedelta(seconds=61))
    owner.get("/api/v1/corpora/")
    assert seen() > first


def test_there_is_a_bound_and_expired_tokens_do_not_count(submitter: User, visitor: APIClient) -> None:
    for _ in range(MAX_TOKENS):
        token_create(submitter, ttl=timedelta(hours=1))
    body = {"username": submitter.username, "password": PASSWORD}
    assert error(visitor.post(TOKENS, body), 409) == "token_limit"
    AccessToken.objects.filter(user=submitter).update(expiry=timezone.now() - timedelta(seconds=1))
    assert visitor.post(TOKENS, body).status_code == 201
    assert submitter.auth_token_set.count() == 1


def test_wrong_passwords_are_counted_and_the_right_one_must_wait_too(
    submitter: User, visitor: APIClient
) -> None:
    wrong = {"username": submitter.username, "password": "wrong"}
    assert [error(visitor.post(TOKENS, wrong), 401) for _ in range(5)] == ["authentication_failed"] * 5
    answer = visitor.post(TOKENS, {**wrong, "password": PASSWORD})
    assert error(answer, 429) == "throttled"
    assert int(answer["Retry-After"]) == 300
    page = Client().post("/login/", {"login": submitter.username, "password": PASSWORD})
    assert "Too many wrong passwords" in page.content.decode(), "the page counts with the API"


def test_a_closed_account_gets_no_token(visitor: APIClient) -> None:
    user = UserFactory(is_active=False)
    answer = visitor.post(TOKENS, {"username": user.username, "password": PASSWORD})
    assert error(answer, 401) == "authentication_failed"


def test_me_says_who_i_am_what_is_left_and_until_when(owner: APIClient, submitter: User) -> None:
    me = owner.get("/api/v1/me/").json()
    assert me["username"] == submitter.username
    assert me["is_maintainer"] is False
    (team,) = me["teams"]
    assert (team["role"], team["is_personal"], team["members"]) == ("owner", True, 1)
    assert team["quotas"]["submissions_a_day"] == {"used": 0, "limit": 20}
    assert set(team["quotas"]) == {"submissions_a_day", "active_runs", "stored_bytes"}
    assert me["token"]["expires_at"] is not None
    browser = APIClient()
    browser.force_login(submitter)
    assert browser.get("/api/v1/me/").json()["token"] is None


def test_an_operator_makes_no_account_with_a_name_that_breaks_things() -> None:
    for name in ("a b", "../x", "x" * 40, "", "a@b"):
        with pytest.raises(CommandError, match="no name for an account"):
            call_command("create_token", name, stdout=StringIO())
    assert not User.objects.exists()


def test_an_operator_makes_an_account_whose_owner_sets_the_password() -> None:
    output = StringIO()
    call_command("create_account", "grace", "grace@example.org", "--maintainer", stdout=output)
    user = User.objects.get(username="grace")
    assert user.is_maintainer
    client = Client()
    path = "/" + output.getvalue().strip().split("/", 3)[3]
    form = client.get(path, follow=True)
    new = {"password1": "a quite new phrase", "password2": "a quite new phrase"}
    assert client.post(form.redirect_chain[-1][0], new).status_code == 302
    assert client.login(username="grace", password="a quite new phrase")
    assert "leads nowhere" in Client().get(path).content.decode(), "the link serves once"
    with pytest.raises(CommandError, match="already"):
        call_command("create_account", "Grace", "g@example.org", stdout=StringIO())
