"""Real container engines for the tests: started once a session, stopped and cleaned up at its end.

Import the fixtures that you use into a ``conftest.py``: ``engines`` (the session's, started when
first asked for), ``engine`` (a test runs once on each), ``podman`` (just that one).
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.client import DockerClient

from evaluator.sandbox.engine import Engine, connect
from local.engine import docker_engine, podman_engine
from local.images import ensure_base, save
from protocols.contract import LABEL_CONTRACT, LABEL_PHASES

NAMES = ("podman", "docker")

# Runs the detector.py that lies in the phase's data folder, so that one image serves every test.
ENTRYPOINT = [
    "python3",
    "-c",
    "import runpy, sys; sys.dont_write_bytecode = True; "
    "folder = {'train': '/bench/train', 'predict': '/bench/eval'}[sys.argv[1]]; "
    "runpy.run_path(folder + '/detector.py', run_name='__main__')",
]
IMAGE = f"localhost/tidemark/test-detector:{os.getpid()}"


@dataclass(frozen=True)
class Running:
    """An engine that runs; ``image_id`` is an image that executes ``detector.py`` of its data folder."""

    client: DockerClient
    engine: Engine
    image_id: str


class Engines:
    """The session's engines by name, each started when it is first asked for."""

    def __init__(self, parts: ExitStack) -> None:
        self._parts = parts
        self._running: dict[str, Running] = {}
        # A short path: that of a socket may not exceed 107 bytes.
        self.folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tm-")))

    def get(self, name: str) -> Running:
        if name not in self._running:
            # What fails halfway is stopped at once, not once a test that wants it.
            with ExitStack() as parts:
                self._running[name] = self._podman(parts) if name == "podman" else self._docker(parts)
                self._parts.push(parts.pop_all())
        return self._running[name]

    def _podman(self, parts: ExitStack) -> Running:
        engine = parts.enter_context(podman_engine(self.folder / "podman"))
        return _running(engine, ensure_base(engine), parts)

    def _docker(self, parts: ExitStack) -> Running:
        # Copying the base image takes seconds, making it again a minute.
        podman, archive = self.get("podman"), self.folder / "base.tar"
        base = ensure_base(podman.engine)
        save(podman.engine, base, archive)
        engine = parts.enter_context(docker_engine(self.folder / "docker"))
        client, _ = connect(engine.docker_host)
        with archive.open("rb") as file:
            client.images.load(file)
        client.close()
        archive.unlink()
        return _running(engine, base, parts)


def _running(engine: Engine, base: str, parts: ExitStack) -> Running:
    client, _ = connect(engine.docker_host)
    parts.callback(client.close)
    image_id = make_image(client, base, IMAGE)
    parts.callback(client.images.remove, IMAGE, force=True)
    return Running(client, engine, image_id)


def make_image(client: DockerClient, base: str, name: str, *settings: str) -> str:
    """Make an image on top of ``base`` with the test entry point and other Dockerfile ``settings``."""
    lines = [
        f"FROM {base}",
        f"ENTRYPOINT {json.dumps(ENTRYPOINT)}",
        f"LABEL {LABEL_CONTRACT}=1 {LABEL_PHASES}=train,predict",
        *settings,
    ]
    client.images.build(fileobj=io.BytesIO("\n".join(lines).encode()), tag=name, rm=True)
    image_id: str = client.api.inspect_image(name)["Id"]
    return image_id


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    with ExitStack() as parts:
        yield Engines(parts)


# Not of session scope: pytest-randomly would have the engines started again and again.
@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest, engines: Engines) -> Running:
    return engines.get(request.param)


@pytest.fixture
def podman(engines: Engines) -> Running:
    return engines.get("podman")
