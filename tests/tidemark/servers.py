"""A web process of this server, the command against it, and its callers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from typer.testing import CliRunner, Result

from leaderboard.models import User
from leaderboard.services.accounts import token_create
from local.processes import end, spawn
from tests.conftest import env_of_processes
from tests.local.waiting import eventually
from tidemark.cli import app

ROOT = Path(__file__).parents[2]


@contextmanager
def running(log: Path, env: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this server, for as long as the context lasts."""
    process = spawn([sys.executable, "-m", *arguments], log, death_signal="KILL", env=env, cwd=ROOT)
    try:
        yield process
    finally:
        end(process, 10)


@contextmanager
def web_process(log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A web process on the tests' database that answers."""
    url = f"http://127.0.0.1:{port}"
    gunicorn = ["gunicorn", "leaderboard.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    gunicorn += ["--worker-class", "gthread", "--threads", "4", "--no-control-socket"]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/api/v1/benchmarks/").status_code < 500
        except httpx.TransportError:
            return False

    with running(log, env_of_processes(), *gunicorn) as process:
        eventually(answers, within_s=60)
        yield process


def make_clone(folder: Path) -> Path:
    """What a clone has of the packages, without what was built or run in this one."""
    for part in ("docker", "evaluator", "leaderboard", "local", "protocols", "sandbox", "tidemark"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    return folder


def token_of(user: User) -> str:
    return str(token_create(user, ttl=timedelta(hours=1)).token)


def run(*arguments: object, input: str | None = None) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments)], input=input)


def spawn_command(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own, which can be killed."""
    command = [sys.executable, "-c", "from tidemark.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
