"""What the documentation promises is so: the OpenAPI document, its page, docs/api.md and docs/errors.md."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.urls import get_resolver
from rest_framework.test import APIClient

from leaderboard.api import catalogue
from leaderboard.models import User
from protocols.errors import CATALOGUE
from tests.leaderboard.api.test_permissions import routes

DOCS = settings.ROOT / "docs"


def core_routes() -> set[tuple[str, str]]:
    (api,) = [r for r in get_resolver().url_patterns if str(r.pattern) == "api/"]
    (core,) = [r for r in api.url_patterns if getattr(r, "namespace", None) == "api"]
    return routes(core)


def anonymous(route: str) -> str:
    """A route without the names and types of its parameters."""
    return re.sub(r"<[^>]+>|\{[^}]+\}", "{}", route)


def test_the_openapi_document_is_valid_and_made_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.fixture
def schema(visitor: APIClient) -> Any:
    return json.loads(visitor.get("/api/v1/schema/?format=json").content)


def test_the_openapi_document_describes_every_route(schema: Any) -> None:
    described = {
        (method.upper(), anonymous(path.removeprefix("/api/v1/")))
        for path, methods in schema["paths"].items()
        for method in methods
    }
    expected = {(method, anonymous(route)) for method, route in core_routes() if route != "schema/"}
    assert expected - described == set()


def test_every_described_failure_has_the_one_shape(schema: Any) -> None:
    shapes = {
        json.dumps(answer["content"]["application/json"]["schema"])
        for methods in schema["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status.startswith(("4", "5"))
    }
    assert shapes == {'{"$ref": "#/components/schemas/ErrorAnswer"}'}
    item = schema["components"]["schemas"]["ErrorItem"]["properties"]
    assert set(item) == {"code", "detail", "attr", "fix"}


class Assets(HTMLParser):
    """Every address that a page loads something from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "link": "href", "img": "src"}.get(tag)
        self.found += [value for name, value in attrs if name == wanted and value]


def test_the_page_of_the_api_loads_nothing_from_elsewhere(visitor: APIClient) -> None:
    answer = visitor.get("/api/docs/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assets = Assets()
    assets.feed(page)
    assert len(assets.found) >= 3
    for address in assets.found:
        assert address.startswith("/static/"), address
        assert finders.find(address.removeprefix("/static/")), address
    assert re.findall(r"https?://", page) == []
    assert '"/api/v1/schema/"' in page


def test_the_page_of_errors_is_written_from_the_catalogue() -> None:
    written = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert written == catalogue.page(), "run `manage.py document_errors`"
    assert all(f"| `{code}` |" in written for code in CATALOGUE)


def test_the_guide_names_every_route_and_no_other() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    named = {
        (method, anonymous(path.removeprefix("/")))
        for method, path in re.findall(r"`(GET|POST|HEAD|PATCH|DELETE) (/\S+)`", text)
    }
    expected = {(method, anonymous(route)) for method, route in core_routes() if route != "schema/"}
    assert named - {("HEAD", "uploads/{}")} == expected


@pytest.mark.django_db
def test_an_operator_gets_a_token(visitor: APIClient) -> None:
    output = StringIO()
    call_command("create_token", "ada", "--maintainer", "--days", "3", stdout=output)
    user = User.objects.get(username="ada")
    assert user.is_maintainer
    assert not user.has_usable_password()
    (row,) = user.auth_token_set.all()
    assert (row.expiry - row.created).days in (2, 3)
    visitor.credentials(HTTP_AUTHORIZATION=f"Token {output.getvalue().strip()}")
    assert visitor.post("/api/v1/corpora/", {"slug": "c", "name": "C"}).status_code == 201
    # A second token, of a user who stays a maintainer and keeps the first one.
    call_command("create_token", "ada", stdout=StringIO())
    user.refresh_from_db()
    assert user.is_maintainer
    assert user.auth_token_set.count() == 2
