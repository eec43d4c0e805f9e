"""A pytest plugin that gives the tests a real PostgreSQL and a real Redis, and counts who used what.

It is loaded with ``-p tests.embedded`` and acts before pytest-django reads the settings, which
take their addresses from the environment. ``DATABASE_URL`` and ``REDIS_URL``, where set, win.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from local.postgres import Postgres
from local.redis import Redis

SHARED = Path(__file__).parents[2] / "shared"

POSTGRES = pytest.StashKey[Postgres]()
REDIS = pytest.StashKey[Redis]()
USED = pytest.StashKey[dict[str, list[str]]]()
CLIENT = pytest.StashKey["redis.Redis"]()
COMMANDS = pytest.StashKey[int]()

# What acceptance asks about, in the order of the summary: how a test shows that it uses it.
MARKED = {"container": "container", "processes": "worker or server processes", "browser": "browser"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-list",
        action="store_true",
        help="name every test that used a real container, PostgreSQL, Redis, process or browser",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    parts = ExitStack()
    early_config.add_cleanup(parts.close)
    home = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-test-")))
    if "DATABASE_URL" not in os.environ:
        postgres = parts.enter_context(Postgres(home / "postgres", durable=False))
        early_config.stash[POSTGRES] = postgres
        os.environ["DATABASE_URL"] = postgres.url
    if "REDIS_URL" not in os.environ:
        broker = parts.enter_context(Redis(home / "redis"))
        early_config.stash[REDIS] = broker
        os.environ["REDIS_URL"] = broker.url
    # WhiteNoise warns of a folder of collected assets that is not there.
    (home / "static").mkdir()
    os.environ["TIDEMARK_HOME"] = str(home)
    os.environ["SECRET_KEY"] = "a-key-for-tests-that-is-long-enough-and-secret-to-nobody"
    os.environ["STATIC_FROM_SOURCE"] = "true"
    # A test reads what it has just written. Tests of the kept pages turn keeping on.
    os.environ["PAGE_CACHE_S"] = "0"
    # All requests of all tests come from one address. Tests of the limits set their own.
    for policy in ("ADDRESS", "USER", "FILES"):
        os.environ[f"THROTTLE_{policy}"] = "1000000/min"
    early_config.stash[USED] = {}
    early_config.stash[CLIENT] = parts.enter_context(redis.Redis.from_url(os.environ["REDIS_URL"]))
    yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir() or "CI" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(pytest.mark.skip(reason=f"there are no reference outputs at {SHARED}"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[COMMANDS] = redis_commands(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    yield
    parts = [name for marker, name in MARKED.items() if item.get_closest_marker(marker)]
    if item.get_closest_marker("django_db") or "_django_db_helper" in item.fixturenames:
        parts.append("PostgreSQL")
    # The reading itself is one command; a server that was restarted has begun to count anew.
    if redis_commands(item) != item.stash[COMMANDS] + 1:
        parts.append("Redis")
    for part in parts:
        item.config.stash[USED].setdefault(part, []).append(item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    used = config.stash[USED]
    if not used:
        return
    terminalreporter.section("passed with real parts")
    for part, tests in sorted(used.items()):
        terminalreporter.line(f"{part}: {len(tests)}")
        if config.getoption("--real-list"):
            for test in sorted(tests):
                terminalreporter.line(f"  {test}")


def redis_commands(item: pytest.Item) -> int:
    """How many commands Redis has served since it started, this one not counted."""
    return int(item.config.stash[CLIENT].info("stats")["total_commands_processed"])
