"""The API keeps what its OpenAPI document promises, whatever it is asked and by whom.

Schemathesis makes requests from the document, right and wrong ones, for every address and method.
``SCHEMA_EXAMPLES=300 make test ARGS=tests/leaderboard/api/test_schemathesis.py`` is a long search.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from pytest_django import DjangoDbBlocker
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from leaderboard.services.accounts import token_create
from leaderboard.wsgi import application
from tests.leaderboard.access import World

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "3"))
WHO = ("anonymous", "author", "maintainer")
# A right request may be refused for what the document can't say: there is no such benchmark, or
# the name is taken. And an address of nothing answers 404 before anything else of it is looked at.
LEFT_OUT = {"positive_data_acceptance", "negative_data_rejection", "ignored_auth", "max_response_time"}

load_all_checks()
checks = [check for check in CHECKS.get_all() if check.__name__ not in LEFT_OUT]
schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
schema.app = application
sent: Counter[tuple[str, int]] = Counter()


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Caller:
    """Somebody with a token, and what there is in the database for every name in an address or a body."""

    def __init__(self, who: str) -> None:
        self.who = who
        world = World()
        user = world.people[who]
        self.headers = {"Accept": "application/json"}
        if user is not None:
            token = token_create(user, ttl=timedelta(hours=1)).token
            self.headers["Authorization"] = f"Token {token}"
        self.names: dict[str, list[Any]] = {
            "submission_id": [
                getattr(world, each).pk
                for each in ("public", "private", "draft", "failed", "withdrawn", "foreign")
            ],
            "run_id": [world.run.pk, world.private_run.pk],
            "step_id": [world.step.pk, world.private_step.pk],
            "batch_id": [world.shown.pk, world.sealed_batch.pk, world.hidden_batch.pk],
            "upload_id": [world.upload_of(who)],
            "webhook_id": [world.webhook.pk],
            "number": [world.edition.number, world.waiting_edition.number],
            "corpus": [world.corpus.slug],
            "benchmark": [world.benchmark.slug],
            "team": [world.lab.slug, world.empty.slug],
            "generator": [world.shown.generator.slug],
            "upload": [str(world.upload_of(who))],
            "handle": [world.token_of(who)],
            "username": [world.member.username, world.closed.username],
            "invitation_id": [world.invitation.pk],
            "key": [world.invitation_key],
        }

    def slugs(self, path: str) -> list[Any]:
        kind = path.removeprefix("/api/v1/").partition("s/")[0]
        return self.names.get(kind, self.names["corpus"])

    def passes_over(self, case: schemathesis.Case) -> bool:
        """A short search takes a part of the many cases at the edges of the document."""
        at_edge = case.meta is not None and case.meta.phase.name == TestPhase.COVERAGE
        one_of = 2 if self.who == "maintainer" else 8
        return at_edge and EXAMPLES < 100 and (_chance(case) >> 8) % one_of > 0

    def aim(self, case: schemathesis.Case) -> None:
        """Let three of four requests be about things that there are."""
        chance = _chance(case)
        if chance % 4 == 0:
            return
        if _is_right(case, ParameterLocation.PATH):
            for name in case.path_parameters:
                known = self.slugs(case.path) if name == "slug" else self.names.get(name)
                if known:
                    case.path_parameters[name] = str(known[(chance >> 4) % len(known)])
        if isinstance(case.body, dict) and _is_right(case, ParameterLocation.BODY):
            for name in set(case.body) & set(self.names):
                if case.body[name] is not None:
                    case.body[name] = self.names[name][(chance >> 4) % len(self.names[name])]


def _chance(case: schemathesis.Case) -> int:
    """A number that is the same whenever the same request is made."""
    return zlib.crc32(repr((case.path, case.method, case.path_parameters, case.query, case.body)).encode())


def _is_right(case: schemathesis.Case, part: ParameterLocation) -> bool:
    made = case.meta.components.get(part) if case.meta else None
    return made is not None and made.mode.is_positive


@pytest.fixture(scope="module", params=WHO)
def caller(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Caller]:
    """One world for all addresses; every request leaves it as it was."""
    # A request closes the connection when it ends, as Django's own test client prevents too.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with django_db_blocker.unblock(), transaction.atomic():
        yield Caller(request.param)
        transaction.set_rollback(True)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def _django_db_helper(caller: Caller) -> Iterator[None]:
    """In place of pytest-django's own, which would close the connection that the world is on."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES < 100,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_every_answer_is_one_that_the_document_names(case: schemathesis.Case, caller: Caller) -> None:
    if caller.passes_over(case):
        return
    cache.clear()
    caller.aim(case)
    with transaction.atomic():
        # Without a server between them, nothing would unpack a compressed answer.
        answer = case.call(headers={**caller.headers, "Accept-Encoding": "identity"})
        # Whatever it did to the world, and to a transaction that a real request would not be in.
        transaction.set_rollback(True)
    sent[caller.who, answer.status_code] += 1
    # Uploads speak a protocol of their own, which answers 412 where its version is not told.
    left = {"missing_required_header"} if "/uploads/" in case.path else set()
    case.validate_response(
        answer, checks=[c for c in checks if c.__name__ not in left], headers=caller.headers
    )
