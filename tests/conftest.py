"""Fixtures for tests that use the real servers of the session: see ``tests/embedded.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from local.postgres import Postgres
from local.redis import Redis
from tests.embedded import POSTGRES, REDIS

# On a busy machine a single example may take longer than hypothesis's 200 ms and still be right.
hypothesis.settings.register_profile("tidemark", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("tidemark")


@pytest.fixture
def postgres_server(pytestconfig: pytest.Config) -> Postgres:
    """The session's PostgreSQL, for tests that restart it."""
    if POSTGRES not in pytestconfig.stash:
        pytest.skip("DATABASE_URL names a server that the tests may not restart")
    return pytestconfig.stash[POSTGRES]


@pytest.fixture
def redis_server(pytestconfig: pytest.Config) -> Redis:
    """The session's Redis, for tests that flush or restart it."""
    if REDIS not in pytestconfig.stash:
        pytest.skip("REDIS_URL names a server that the tests may not restart")
    return pytestconfig.stash[REDIS]


def env_of_processes() -> dict[str, str]:
    """The environment of a process that is to see the tests' own database, which must be set up."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = settings.DATABASES["default"]["NAME"]
    return {**os.environ, "DATABASE_URL": url._replace(path=f"/{name}").geturl()}


@pytest.fixture
def process_env(transactional_db: None) -> Mapping[str, str]:
    """The environment of a process that is to see the test's own database, as committed."""
    return env_of_processes()


def pytest_configure() -> None:
    # A slow hash protects passwords, and tests have none to protect.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


# Django empties all tables after a test with real commits. The triggers of tables whose rows are final
# refuse that; every other protection of theirs stays.
EMPTIED = ("leaderboard_firstcontact", "leaderboard_action")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in EMPTIED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_never_empty")
    yield
    # A thread of a live server keeps its connection for a while, and no database goes while one is open.
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
