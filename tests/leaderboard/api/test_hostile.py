"""Input that no honest client sends: it is refused with a code, and never makes the server fail."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from rest_framework.test import APIClient

from leaderboard.models import Benchmark, User
from protocols.errors import CATALOGUE
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import (
    PASSWORD,
    BatchFactory,
    BenchmarkFactory,
    EventFactory,
    GeneratorFactory,
    RunFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
)

BODIES = [
    b"",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b"[]",
    b"[{}]",
    b"{",
    b"{}",
    b"\xff\xfe\x00",
    b'{"slug": "\xff"}',
    '{"slug": "x"}'.encode("utf-16"),
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b'{"slug": NaN}',
    b'{"slug": -Infinity}',
    b'{"slug": ' + b"9" * 10_000 + b"}",
    rb'{"\ud800": 1}',
    b'{"slug": "a", "slug": "b"}',
    b'{"__proto__": {}, "self": 1, "": 2}',
]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    10**30,
    1e308,
    -0.5,
    "",
    " ",
    "\x00",
    "a\x00b",
    "\u202e",
    "x" * 20_000,
    "../../etc/passwd",
    "' OR 1=1; --",
    "javascript:alert(1)",
    "0000-00-00",
    "99999-01-01",
    "2024-02-30",
    [],
    {},
    [[]],
    {"a": 1},
    ["x", None],
    str(uuid.UUID(int=0)),
]
# Values that json.dumps does not write.
RAW = [b"1e999", b"-1e999", rb'"\ud800"', rb'"\udfff x"']


class Place:
    """An address that takes a body, and a body that it takes."""

    def __init__(self, path: str, body: dict[str, Any]) -> None:
        self.path = f"/api/v1/{path}"
        self.body = body

    def variants(self) -> Iterator[bytes]:
        """The body with one field after the other replaced by one value after the other."""
        yield from BODIES
        for path in paths(self.body):
            for value in VALUES:
                yield json.dumps(replaced(self.body, path, value)).encode()
            for raw in RAW:
                yield json.dumps(replaced(self.body, path, "@")).encode().replace(b'"@"', raw)


def paths(body: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in body.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, name))


def replaced(body: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *rest = path
    return body | {first: replaced(body[first], tuple(rest), value) if rest else value}


def check(answer: Any) -> None:
    """Not the server's fault, and if it is a failure, one with known codes that can be read."""
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        errors = json.loads(answer.content.decode("utf-8"))["errors"]
        assert errors
        assert {error["code"] for error in errors} <= set(CATALOGUE)


@pytest.fixture
def user(db: None) -> User:
    return UserFactory(maintainer=True)


@pytest.fixture
def client(client_of: ClientOf, user: User) -> APIClient:
    """A maintainer, who gets furthest."""
    return client_of(user)


@pytest.fixture
def benchmark(db: None) -> Benchmark:
    return BenchmarkFactory()


@pytest.fixture
def places(user: User, benchmark: Benchmark) -> dict[str, Place]:
    corpus = benchmark.corpus
    batch = BatchFactory(corpus=corpus, state="uploading")
    draft = SubmissionFactory(owner=user, benchmark=benchmark, draft=True)
    upload = UploadFactory(owner=user)
    return {
        "token": Place("tokens/", {"username": user.username, "password": PASSWORD, "days": 3}),
        "corpus": Place("corpora/", {"slug": "c", "name": "C", "description": "", "simulated": True}),
        "generator": Place(
            "generators/",
            {
                "corpus": corpus.slug,
                "slug": "g",
                "name": "G",
                "release_date": "2024-01-31",
                "family": "gan",
                "source": "",
                "licence": "",
            },
        ),
        "batch of a generator": Place(
            "batches/", {"corpus": corpus.slug, "generator": GeneratorFactory(corpus=corpus).slug}
        ),
        "batch of reals": Place("batches/", {"corpus": corpus.slug, "real_source": "camera"}),
        "batch's archive": Place(f"batches/{batch.pk}/submit/", {"upload": str(upload.pk)}),
        "benchmark": Place(
            "benchmarks/",
            {
                "slug": "b",
                "name": "B",
                "corpus": corpus.slug,
                "description": "",
                "generators_per_window": 4,
                "training_mode": "cumulative",
                "degradation": "v2",
                "seed": 1,
                "budgets": {"train": {"timeout_s": 60.0, "memory_bytes": 2**30, "gpus": 0}, "predict": {}},
            },
        ),
        "submission": Place(
            "submissions/",
            {
                "benchmark": benchmark.slug,
                "name": "n",
                "description": "",
                "paper_url": "https://example.org/p",
                "code_url": "",
                "declared_cutoff": "2023-01-01",
                "visibility": "public",
                "seed": 0,
            },
        ),
        "submission's archive": Place(f"submissions/{draft.pk}/upload/", {"upload": str(upload.pk)}),
    }


NAMES = [
    "token",
    "corpus",
    "generator",
    "batch of a generator",
    "batch of reals",
    "batch's archive",
    "benchmark",
    "submission",
    "submission's archive",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_body_is_refused(client: APIClient, places: dict[str, Place], name: str) -> None:
    place = places[name]
    statuses = set()
    for body in place.variants():
        before = transaction.savepoint()
        answer = client.post(place.path, body, content_type="application/json")
        transaction.savepoint_rollback(before)
        check(answer)
        cache.clear()  # Guessing tokens is throttled, and that is not what is tried here.
        statuses.add(answer.status_code)
    # The unchanged body is fine, so each refusal was for the change alone.
    answer = client.post(place.path, place.body)
    assert answer.status_code in (200, 201), answer.content
    assert 400 in statuses


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "rot13", "zlib", "idna", "none-such"])
def test_no_charset_changes_how_a_body_is_read(client: APIClient, charset: str) -> None:
    body = json.dumps({"slug": "x", "name": "é"}, ensure_ascii=False).encode()
    answer = client.post("/api/v1/corpora/", body, content_type=f"application/json; charset={charset}")
    assert (answer.status_code, answer.json()["name"]) == (201, "é")


LISTS = [
    "corpora",
    "generators",
    "batches",
    "benchmarks",
    "submissions",
    "runs",
    "events",
    "uploads",
    "teams",
]
FILTERS = {
    "generators": ["corpus", "family", "released_after", "released_before"],
    "batches": ["corpus", "generator", "real_source", "state"],
    "submissions": ["benchmark", "team", "owner", "name", "state", "mine"],
    "runs": ["submission", "benchmark", "edition", "state"],
    "events": ["submission", "run", "step", "batch"],
    "uploads": ["finished"],
}
TEXTS = [
    "",
    "\x00",
    "\udcff",
    "-1",
    "9" * 30,
    "9" * 5000,
    "1e400",
    "1.5",
    "NaN",
    "null",
    "[]",
    "%00",
    "é" * 3000,
    "2024-13-01",
    "true",
    str(uuid.UUID(int=0)),
]


@pytest.mark.parametrize("name", LISTS)
def test_a_hostile_query_is_refused(client: APIClient, name: str) -> None:
    BatchFactory()
    EventFactory(submission=RunFactory().submission)
    for parameter in [*FILTERS.get(name, []), "page_size", "cursor", "format", "ordering"]:
        for text in TEXTS:
            check(client.get(f"/api/v1/{name}/", {parameter: text.encode("utf-8", "surrogateescape")}))


@pytest.mark.parametrize("name", LISTS)
def test_a_forged_cursor_is_refused(client: APIClient, name: str) -> None:
    BatchFactory()
    EventFactory(submission=RunFactory().submission)
    positions = [
        "p=x",
        "p=%00",
        "p=%ff",
        "p=2024-99-99",
        "p=" + "9" * 50,
        "o=-1",
        "o=" + "9" * 5000,
        "r=2",
        "p=",
    ]
    for position in positions:
        cursor = base64.b64encode(position.encode()).decode()
        check(client.get(f"/api/v1/{name}/", {"cursor": cursor}))


@pytest.mark.parametrize(
    "path",
    [
        "corpora/%00/",
        "corpora/%ff/",
        "corpora/" + "a" * 5000 + "/",
        "generators/a/" + "b" * 5000 + "/",
        "runs/" + "9" * 30 + "/",
        "runs/" + "9" * 5000 + "/",
        "runs/-1/",
        "steps/" + "9" * 30 + "/",
        "batches/not-a-uuid/",
        "submissions/00000000-0000-0000-0000-000000000000/",
        "benchmarks/x/editions/" + "9" * 30 + "/",
        "%2e%2e/%2e%2e/",
        "uploads/..%2f..%2fetc%2fpasswd/",
    ],
)
def test_a_hostile_address_is_not_found(client: APIClient, path: str) -> None:
    for method in ("get", "post", "delete", "patch"):
        answer = getattr(client, method)(f"/api/v1/{path}")
        check(answer)
        assert answer.status_code in (404, 405)
