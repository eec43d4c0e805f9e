"""The container engine of this machine, for whoever works at it: found by its socket, or Podman started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from docker.client import DockerClient
from docker.errors import ImageNotFound

from protocols.errors import PlatformError
from sandbox.engine import Engine, connect, engine_errors

START_S = 20.0
STOP_S = 10.0
# Podman's service ends by itself when nobody has asked it anything for this long: we may be killed.
IDLE_S = 120


@contextmanager
def engine_here(folder: Path, image: str | None = None) -> Iterator[tuple[DockerClient, Engine]]:
    """The first engine that answers and, where ``image`` is given, has an image of that name.

    In this order: ``DOCKER_HOST`` and nothing else; the context of the ``docker`` command; the usual
    sockets of Docker and Podman; Podman, whose service then runs with its socket in ``folder`` as long as
    the context lasts. Raises ``PlatformError``: engine_unavailable, or engine_error for an engine that
    is there and can't enforce the sandbox.
    """
    refusals: list[PlatformError] = []
    without: list[str] = []
    with ExitStack() as parts:
        for host in _hosts(folder, parts):
            try:
                client, engine = connect(host)
            except PlatformError as error:
                refusals.append(error)
                continue
            parts.callback(client.close)
            if image is None or _has(client, image):
                yield client, engine
                return
            without.append(engine.name)
    if without:
        raise PlatformError(
            "engine_unavailable", f"There is no image {image!r} in {' or '.join(without)} here."
        )
    raise _worst(refusals)


def _hosts(folder: Path, parts: ExitStack) -> Iterator[str]:
    """The addresses where an engine may be, Podman's own service last; ``parts`` ends it."""
    if host := os.environ.get("DOCKER_HOST"):
        yield host
        return
    found = dict.fromkeys([*_docker_context(), *_sockets()])
    yield from found
    if shutil.which("podman") and not any("podman" in host for host in found):
        yield parts.enter_context(_podman_service(folder))


def _docker_context() -> list[str]:
    """Where the ``docker`` command would look, as Docker Desktop and ``docker context use`` set it."""
    if shutil.which("docker") is None:
        return []
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=STOP_S)  # noqa: S603
        return [line for line in done.stdout.split() if line.startswith(("unix://", "tcp://", "http"))]
    return []


def _sockets() -> list[str]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    candidates = [Path("/var/run/docker.sock"), runtime / "docker.sock"]
    candidates += [runtime / "podman" / "podman.sock", Path("/run/podman/podman.sock")]
    return [f"unix://{path}" for path in candidates if path.is_socket() and os.access(path, os.W_OK)]


@contextmanager
def _podman_service(folder: Path) -> Iterator[str]:
    socket, log = folder / "podman.sock", folder / "podman.log"
    # crun, Podman's first choice, refuses cgroups that are not version 2.
    old = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
    command = ["podman", *(["--runtime", "runc"] if old else []), "system", "service"]
    command += ["--time", str(IDLE_S), f"unix://{socket}"]
    with log.open("wb") as output:
        # In a session of its own a terminal's Ctrl-C passes it by: the container is to be removed first.
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_S
        while not socket.is_socket():
            if process.poll() is not None or time.monotonic() > deadline:
                told = log.read_text(errors="replace").strip()[-500:]
                raise PlatformError("engine_unavailable", f"Podman's service did not start: {told}")
            time.sleep(0.05)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()
        process.wait()


def _has(client: DockerClient, image: str) -> bool:
    with engine_errors():
        try:
            client.api.inspect_image(image)
        except ImageNotFound:
            return False
    return True


def _worst(refusals: list[PlatformError]) -> PlatformError:
    """The refusal that says most: of an engine that is there, or of all."""
    for refusal in refusals:
        if refusal.code == "engine_error":
            return refusal
    details = " ".join(refusal.detail for refusal in refusals)
    return PlatformError(
        "engine_unavailable", details or "There is neither Docker nor Podman on this machine."
    )
