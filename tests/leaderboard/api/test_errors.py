"""One shape and stable codes, wherever a request fails."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient
from structlog.stdlib import ProcessorFormatter

from leaderboard.api import corpora
from leaderboard.models import User
from leaderboard.services.accounts import token_create, user_ensure
from protocols.errors import CATALOGUE
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import PASSWORD, CorpusFactory, UserFactory


def failure(answer: Any, status: int, kind: str = "client_error") -> dict[str, Any]:
    """The one error of an answer, after a check of everything that all failures share."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"type", "errors"}
    assert body["type"] == kind
    (error,) = body["errors"]
    assert set(error) == {"code", "detail", "attr", "fix"}
    assert error["fix"] == CATALOGUE[error["code"]].fix
    return error


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("path", ["", "v1/", "v2/corpora/", "v1/corpora/x/y/", "v1/runs/x/"])
def test_an_address_that_is_none_is_answered_in_json(visitor: APIClient, method: str, path: str) -> None:
    error = failure(getattr(visitor, method)(f"/api/{path}"), 404)
    assert (error["code"], error["detail"]) == ("not_found", "There is no such address.")


def test_a_forgotten_slash_is_named(visitor: APIClient) -> None:
    error = failure(visitor.get("/api/v1/corpora"), 404)
    assert error["detail"].endswith("Addresses end with a slash: /api/v1/corpora/")


def test_a_wrong_method_body_or_type_has_its_code(maintainer: APIClient) -> None:
    path = "/api/v1/corpora/"
    assert failure(maintainer.delete(path), 405)["code"] == "method_not_allowed"
    assert failure(maintainer.post(path, b"{", content_type="application/json"), 400)["code"] == "parse_error"
    form = maintainer.post(path, b"slug=x", content_type="application/x-www-form-urlencoded")
    assert failure(form, 415)["code"] == "unsupported_media_type"
    assert failure(maintainer.get(path, HTTP_ACCEPT="image/png"), 406)["code"] == "not_acceptable"


def test_a_body_that_is_too_large_is_refused(maintainer: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = {"slug": "x", "name": "x", "description": "x" * 100}
    assert failure(maintainer.post("/api/v1/corpora/", body), 413)["code"] == "body_too_large"


def test_every_wrong_field_is_named(maintainer: APIClient) -> None:
    answer = maintainer.post(
        "/api/v1/benchmarks/", {"slug": "no slug", "budgets": {"train": {"cpus": "many"}}}
    )
    body = answer.json()
    assert (answer.status_code, body["type"]) == (400, "validation_error")
    assert {error["attr"] for error in body["errors"]} == {"slug", "name", "corpus", "budgets.train.cpus"}
    assert {error["code"] for error in body["errors"]} == {"invalid"}


def test_an_unknown_field_is_named(maintainer: APIClient) -> None:
    body = {"slug": "x", "name": "x", "simulate": True}
    error = failure(maintainer.post("/api/v1/corpora/", body), 400, "validation_error")
    assert error["attr"] == "simulate"
    assert "simulated" in error["detail"]


def test_a_services_error_keeps_its_code_and_text(maintainer: APIClient) -> None:
    corpus = CorpusFactory()
    answer = maintainer.post("/api/v1/corpora/", {"slug": corpus.slug, "name": "again"})
    error = failure(answer, 409)
    assert (error["code"], error["detail"]) == ("conflict", f"There is a corpus '{corpus.slug}' already.")


def blocked_by_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_of_two_that_make_the_same_at_once_one_is_told_of_the_conflict() -> None:
    url = connection.get_connection_params()
    del url["cursor_factory"], url["context"]
    answers: list[Any] = []
    client = APIClient()
    token = token_create(UserFactory(maintainer=True), ttl=timedelta(hours=1)).token
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")

    def post() -> None:
        try:
            answers.append(client.post("/api/v1/corpora/", {"slug": "same", "name": "second"}))
        finally:
            connection.close()

    with psycopg.connect(**url) as first:
        first.execute(
            "INSERT INTO leaderboard_corpus (slug, name, description, simulated, created_at)"
            " VALUES ('same', 'first', '', false, now())"
        )
        second = threading.Thread(target=post)
        second.start()
        until = time.monotonic() + 30
        while not blocked_by_a_lock():
            assert time.monotonic() < until
            time.sleep(0.02)
        first.commit()
    second.join(timeout=30)
    assert failure(answers[0], 409)["code"] == "conflict"


def test_a_failure_of_the_server_says_how_its_log_names_it(
    visitor: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # There is no known way to make the server fail, so one is made.
    monkeypatch.setattr(corpora.visible, "corpora", lambda: 1 / 0)
    visitor.raise_request_exception = False
    error = failure(visitor.get("/api/v1/corpora/"), 500, "server_error")
    assert error["code"] == "error"
    assert "division" not in error["detail"]
    request_id = error["detail"].rstrip(".").rsplit(" ", 1)[1]
    assert len(request_id) == 36
    assert request_id in caplog.text
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    (console,) = [h for h in logging.getLogger().handlers if isinstance(h.formatter, ProcessorFormatter)]
    assert "Traceback (most recent call last)" in console.format(record)


@pytest.mark.django_db
def test_what_fails_before_or_behind_the_views_is_answered_in_json_too(settings: Any) -> None:
    client = Client(raise_request_exception=False)
    error = failure(client.get("/api/v1/corpora/", headers={"host": "elsewhere.example"}), 400)
    assert error["code"] == "invalid"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.leaderboard.api.test_errors.broken"]
    client = Client(raise_request_exception=False)
    error = failure(client.get("/api/v1/corpora/"), 500, "server_error")
    assert error["code"] == "error"
    # Pages keep Django's own answers.
    assert client.get("/x/")["Content-Type"].startswith("text/html")


def broken(get_response: Any) -> Any:
    """A middleware that fails."""

    def middleware(request: Any) -> Any:
        raise RuntimeError("broken")

    return middleware


# Who is calling.


@pytest.mark.parametrize(
    "header",
    [
        "Token",
        "Token x y",
        "Token nonsense",
        "Token " + "a" * 64,
        "Token \xff\xfe",
        "Token a\x00b",
        "Token " + "a" * 100_000,
    ],
)
def test_a_wrong_token_is_refused_even_to_read(visitor: APIClient, header: str) -> None:
    answer = visitor.get("/api/v1/corpora/", HTTP_AUTHORIZATION=header)
    assert failure(answer, 401)["code"] == "authentication_failed"
    assert answer["WWW-Authenticate"] == "Token"


def test_no_token_is_another_error_than_a_wrong_one(visitor: APIClient) -> None:
    assert failure(visitor.get("/api/v1/events/"), 401)["code"] == "not_authenticated"


def test_an_expired_token_and_a_closed_account_are_refused(client_of: ClientOf, submitter: User) -> None:
    client = client_of(submitter)
    submitter.auth_token_set.update(expiry="2020-01-01T00:00:00Z")
    assert failure(client.get("/api/v1/events/"), 401)["code"] == "authentication_failed"
    client = client_of(submitter)
    assert client.get("/api/v1/events/").status_code == 200
    submitter.is_active = False
    submitter.save()
    assert failure(client.get("/api/v1/events/"), 401)["code"] == "authentication_failed"


def test_a_token_is_made_for_a_password_used_and_given_up(visitor: APIClient, submitter: User) -> None:
    answer = visitor.post(
        "/api/v1/tokens/", {"username": submitter.username, "password": PASSWORD, "days": 2}
    )
    assert answer.status_code == 201
    (row,) = submitter.auth_token_set.all()
    assert row.expiry.isoformat().replace("+00:00", "Z") == answer.json()["expires_at"]
    assert round((row.expiry - row.created).total_seconds() / 86400) == 2
    visitor.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    assert visitor.get("/api/v1/events/").status_code == 200
    assert visitor.delete("/api/v1/tokens/current/").status_code == 204
    assert visitor.get("/api/v1/events/").status_code == 401


def test_a_wrong_password_is_refused_and_guessing_is_slowed_down(visitor: APIClient, submitter: User) -> None:
    body = {"username": submitter.username, "password": "guess"}
    for _ in range(5):
        assert failure(visitor.post("/api/v1/tokens/", body), 401)["code"] == "authentication_failed"
    # A client that names another address for itself does not begin anew.
    answer = visitor.post("/api/v1/tokens/", body, HTTP_X_FORWARDED_FOR="10.0.0.1")
    assert failure(answer, 429)["code"] == "throttled"
    assert 60 < int(answer["Retry-After"]) <= 300


def test_an_account_without_a_password_has_no_way_in(visitor: APIClient) -> None:
    user_ensure("script")
    for password in ("", "!", " "):
        answer = visitor.post("/api/v1/tokens/", {"username": "script", "password": password})
        assert answer.status_code in (400, 401)


def test_a_session_needs_the_forms_secret_to_write(submitter: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(submitter)
    assert client.get("/api/v1/events/").status_code == 200
    assert failure(client.post("/api/v1/submissions/", {}), 403)["code"] == "permission_denied"
