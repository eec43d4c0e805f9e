"""Everything one machine needs to serve Tidemark, brought up in order and taken down again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from local.engine import container_engine
from local.postgres import Postgres
from local.processes import Lock, private_folder, tail
from local.redis import Redis
from local.supervisor import Service, Supervisor
from sandbox.engine import Engine, connect
from sandbox.strays import remove_strays

ROOT = Path(__file__).resolve().parent.parent
READY_S = 180.0
# A worker that is told to end stops its container and gives the step back before it goes.
WORKER_GRACE_S = 30.0

Say = Callable[[str], None]


class StackError(RuntimeError):
    """The stack can't come up; the message says why and what to do."""


@dataclass(frozen=True)
class Stack:
    """A running stack: where the site is, the engine that its workers use, and its environment."""

    home: Path
    url: str
    engine: Engine
    env: Mapping[str, str]


def home_folder() -> Path:
    """``TIDEMARK_HOME``, or ``var/`` in the checkout."""
    return Path(os.environ.get("TIDEMARK_HOME") or ROOT / "var").resolve()


@contextlib.contextmanager
def environment(home: Path) -> Iterator[dict[str, str]]:
    """The environment of the server's processes, with a PostgreSQL and a Redis behind it.

    What the present environment sets is kept: with ``DATABASE_URL`` or ``REDIS_URL`` nothing of
    that kind is started.
    """
    private_folder(home)
    with contextlib.ExitStack() as parts:
        env = {
            "SECRET_KEY": _kept_secret(home / "secret_key"),
            "IMAGE_ID_KEY": _kept_secret(home / "image_id_key"),
            "TIDEMARK_INSTANCE": f"tidemark-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}",
            **os.environ,
            "TIDEMARK_HOME": str(home),
            "PYTHONUNBUFFERED": "1",
        }
        if "DATABASE_URL" not in env:
            env["DATABASE_URL"] = parts.enter_context(Postgres(home / "postgres")).url
        if "REDIS_URL" not in env:
            env["REDIS_URL"] = parts.enter_context(Redis(home / "redis")).url
        yield env


@contextlib.contextmanager
def stack(home: Path, *, port: int = 8000, workers: int = 1, say: Say = print) -> Iterator[Stack]:
    """Database, broker, container engine, web process, workers and sweeper, for as long as the context lasts.

    One stack a ``home``: it is locked. With ``TIDEMARK_GPUS`` there is one worker for each GPU it
    names instead of ``workers``. Raises ``StackError`` or ``NoEngineError`` when it can't come up.
    """
    private_folder(home)
    lock = Lock(home / "stack.lock")
    if not lock.acquire():
        raise StackError(
            f"Process {lock.holder()} already serves {home}. Stop it, or set another TIDEMARK_HOME."
        )
    with contextlib.ExitStack() as parts:
        parts.callback(lock.release)
        _claim_port(port)
        env = parts.enter_context(environment(home))
        engine = parts.enter_context(container_engine(home / "engine", say))
        env["DOCKER_HOST"] = engine.docker_host
        env.setdefault("SITE_URL", f"http://127.0.0.1:{port}")
        for command in (["migrate", "--no-input"], ["collectstatic", "--no-input"]):
            _manage(command, env, home / "logs" / "set-up.log")
        parts.callback(_remove_containers, env)
        supervisor = parts.enter_context(Supervisor(home / "logs", say))
        for service in _services(env, port, workers):
            supervisor.start(service)
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, supervisor.log("web"))
        yield Stack(home, url, engine, env)


def _services(env: Mapping[str, str], port: int, workers: int) -> Iterator[Service]:
    python = [sys.executable, "-m"]
    yield Service("web", web_command(port), env)
    gpus = [gpu for gpu in env.get("TIDEMARK_GPUS", "").split(",") if gpu]
    for number, gpu in enumerate(gpus or [""] * workers, start=1):
        name = f"worker{number}"
        yield Service(name, [*python, *_worker(name)], {**env, "TIDEMARK_GPUS": gpu}, WORKER_GRACE_S)
    # Nobody who enters a detector shall wait for somebody else's training to see whether it works.
    checks = {**env, "TIDEMARK_GPUS": "", "TIDEMARK_TAKES": "checks,trials"}
    yield Service("checker", [*python, *_worker("checker")], checks, WORKER_GRACE_S)
    yield Service("sweeper", [sys.executable, ROOT / "manage.py", "sweep"], env)


def web_command(port: int) -> list[str]:
    """The production server on a port of the loopback."""
    web = ["gunicorn", "leaderboard.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    web += ["--worker-class", "gthread", "--workers", "2", "--threads", "8"]
    return [sys.executable, "-m", *web, "--no-control-socket"]


def _worker(name: str) -> list[str]:
    worker = ["celery", "-A", "evaluator.app", "worker", "--pool", "threads", "--concurrency", "1"]
    return [*worker, "--without-gossip", "--without-mingle", "-n", f"{name}@{socket.gethostname()}"]


def _manage(command: list[str], env: Mapping[str, str], log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", *command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise StackError(f"manage.py {' '.join(command)} failed. {log} ends:\n{tail(log)}")


def _kept_secret(file: Path) -> str:
    """A random key that is made once and only this user can read."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()


def _claim_port(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise StackError(
            f"Port {port} can't be used ({error.strerror}). Choose another: PORT={port + 1}."
        ) from error


def _wait_until_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url)
            return
        time.sleep(0.1)
    raise StackError(f"The web process does not answer at {url}. {log} ends:\n{tail(log)}")


def _remove_containers(env: Mapping[str, str]) -> None:
    """What a worker that was killed could not remove itself."""
    client, _ = connect(env["DOCKER_HOST"])
    with contextlib.closing(client):
        remove_strays(client, env["TIDEMARK_INSTANCE"], lambda _step, _token: False)
