"""Real container engines for the tests: started once a session, stopped and cleaned up at its end.

Import the fixtures that you use into a ``conftest.py``: ``engines`` (the session's, started when
first asked for), ``engine`` (a test runs once on each), ``podman`` (just that one).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.client import DockerClient
from docker.errors import NotFound

from local.engine import docker_engine, podman_engine
from local.images import ensure_base
from protocols.contract import LABEL_CONTRACT, LABEL_PHASES
from sandbox.engine import Engine, connect

NAMES = ("podman", "docker")

# Runs the detector.py that lies in the phase's data folder, so that one image serves every test.
ENTRYPOINT = [
    "python3",
    "-c",
    "import runpy, sys; sys.dont_write_bytecode = True; "
    "folder = {'train': '/bench/train', 'predict': '/bench/eval'}[sys.argv[1]]; "
    "runpy.run_path(folder + '/detector.py', run_name='__main__')",
]
# Two thirds of a Debian image, and four fifths of its files.
NEEDLESS = ("usr/share/", "usr/sbin/", "usr/lib/python3/", "var/cache/", "var/lib/")
IMAGE = f"localhost/tidemark/test-detector-{os.getpid()}"


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
        return _running(_connected(engine, parts), engine, ensure_base(engine), parts)

    def _docker(self, parts: ExitStack) -> Running:
        # It gets the base image of Podman's store: making it again takes a minute.
        podman, archive, base = self.get("podman"), self.folder / "python.tar", IMAGE + "-base"
        _export_python(podman, archive)
        engine = parts.enter_context(docker_engine(self.folder / "docker"))
        client = _connected(engine, parts)
        client.api.import_image(str(archive), repository=base)
        archive.unlink()
        return _running(client, engine, base, parts)


def _remove_image(client: DockerClient, name: str) -> None:
    # Whoever prunes the engine's images in the meantime has done the work.
    with suppress(NotFound):
        client.images.remove(name, force=True)


def _running(client: DockerClient, engine: Engine, base: str, parts: ExitStack) -> Running:
    image_id = make_image(client, base, IMAGE)
    parts.callback(_remove_image, client, IMAGE)
    return Running(client, engine, image_id)


def _connected(engine: Engine, parts: ExitStack) -> DockerClient:
    client, _ = connect(engine.docker_host)
    parts.callback(client.close)
    return client


def _export_python(source: Running, target: Path) -> None:
    """Write the file system of the test image to ``target``, a tar, without what Python does not need."""
    whole = target.with_name("whole.tar")
    container = source.client.containers.create(source.image_id)
    try:
        with whole.open("wb") as file:
            file.writelines(container.export())
    finally:
        container.remove()
    with tarfile.open(whole) as everything, tarfile.open(target, "w") as python:
        for member in everything:
            if not member.name.startswith(NEEDLESS):
                python.addfile(member, everything.extractfile(member) if member.isreg() else None)
    whole.unlink()


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
