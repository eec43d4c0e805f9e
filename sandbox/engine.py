"""The container engine that a worker talks to, Docker or Podman, through Docker's API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import requests
from docker.client import DockerClient
from docker.errors import APIError, DockerException

from protocols.errors import PlatformError


@dataclass(frozen=True)
class Engine:
    """What the sandbox must know of an engine to ask it for the same thing in its own way.

    ``runtime`` is the name of the OCI runtime that it uses unless told otherwise, ``seccomp`` the
    file of its system call filter where the sandbox has to tighten it (on Podman).
    """

    name: Literal["docker", "podman"]
    docker_host: str
    rootless: bool
    version: str
    cpus: int
    runtime: str
    seccomp: Path | None = None

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what the docker SDK raises into ``PlatformError`` (engine_unavailable, engine_error)."""
    try:
        yield
    except APIError as error:
        raise PlatformError(
            "engine_error", f"The container engine answered: {error.explanation or error}"
        ) from error
    except (DockerException, requests.RequestException, ConnectionError) as error:
        raise PlatformError("engine_unavailable", f"The container engine does not answer: {error}") from error


def connect(docker_host: str, *, timeout_s: float = 60) -> tuple[DockerClient, Engine]:
    """A client for the engine at ``docker_host`` (``unix://…`` or ``tcp://…``), and what it is.

    Raises ``PlatformError``: ``engine_unavailable`` when nothing answers there, ``engine_error``
    when the engine can't enforce the limits that the sandbox promises.
    """
    with engine_errors():
        client = DockerClient(base_url=docker_host, timeout=timeout_s)
        try:
            info: dict[str, Any] = client.info()
            engine = describe(docker_host, info)
            if engine.name == "podman":
                engine = replace(engine, seccomp=_podman_seccomp(client))
        except BaseException:
            client.close()
            raise
    missing = unenforced(engine, info)
    if missing:
        client.close()
        raise PlatformError(
            "engine_error",
            f"{engine.name} at {docker_host} can't limit {', '.join(missing)}. "
            "Use an engine with cgroup v2 and these controllers delegated, or run it as root.",
        )
    return client, engine


def _podman_seccomp(client: DockerClient) -> Path:
    # Podman tells it in its own API alone.
    response = client.api.get(f"{client.api.base_url}/v4.0.0/libpod/info")
    response.raise_for_status()
    path = Path(response.json()["host"]["security"].get("seccompProfilePath") or "missing")
    if not path.is_file():
        raise PlatformError(
            "engine_error",
            "Podman names no seccomp profile on this machine; install the package containers-common.",
        )
    return path


def describe(docker_host: str, info: dict[str, Any]) -> Engine:
    """The engine behind its own answer to ``/info``, without its seccomp profile."""
    security = info.get("SecurityOptions") or ()
    return Engine(
        name="podman" if "BuildahVersion" in info else "docker",
        docker_host=docker_host,
        # Podman 4.3 has a field for it, Docker a security option.
        rootless=bool(info.get("Rootless")) or any("rootless" in option for option in security),
        version=info["ServerVersion"],
        cpus=int(info["NCPU"]),
        runtime=str(info.get("DefaultRuntime", "")),
    )


def unenforced(engine: Engine, info: dict[str, Any]) -> list[str]:
    """The limits that the engine would accept and silently not enforce."""
    limits = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "CPU time"}
    if engine.rootless and str(info.get("CgroupVersion")) == "1":
        # A rootless engine has no say over cgroup v1, whatever its flags claim.
        return list(limits.values())
    return [label for field, label in limits.items() if not info.get(field)]
