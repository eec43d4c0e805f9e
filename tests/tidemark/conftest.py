"""A real server for the command, and what its commands need of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import free_port
from tests.engines import engine, engines, podman
from tests.leaderboard.factories import UserFactory
from tests.tidemark.servers import token_of, web_process

__all__ = ["engine", "engines", "podman"]


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web process on the tests' database, one for all tests."""
    port = free_port()
    with web_process(tmp_path_factory.mktemp("web") / "log", port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user of the command who has used nothing yet."""
    for name, folder in (("STATE", "state"), ("CONFIG", "config"), ("CACHE", "cache")):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "home" / folder))
    monkeypatch.delenv("TIDEMARK_TOKEN", raising=False)
    monkeypatch.delenv("TIDEMARK_SERVER", raising=False)
    return tmp_path / "home"


@pytest.fixture
def server(web: str, transactional_db: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address; the command finds it, and a maintainer's token, in the environment."""
    monkeypatch.setenv("TIDEMARK_SERVER", web)
    monkeypatch.setenv("TIDEMARK_TOKEN", token_of(UserFactory(maintainer=True)))
    return web
