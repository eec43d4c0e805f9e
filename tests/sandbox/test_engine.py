"""Engines known by their own answers, as captured."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ReadTimeout
from requests.models import Response

from protocols.errors import PlatformError
from sandbox.engine import Engine, connect, describe, engine_errors, unenforced
from tests.engines import Running

ENFORCES = {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True}
DOCKER_20: dict[str, Any] = {
    "ServerVersion": "20.10.24+dfsg1",
    "NCPU": 2,
    "DefaultRuntime": "runc",
    "CgroupVersion": "1",
    "SecurityOptions": ["name=seccomp,profile=default"],
    **ENFORCES,
}
DOCKER_ROOTLESS = DOCKER_20 | {
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless", "name=cgroupns"],
}
PODMAN_4 = {
    "ServerVersion": "4.3.1",
    "NCPU": 2,
    "DefaultRuntime": "runc",
    "CgroupVersion": "1",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "Rootless": False,
    "BuildahVersion": "1.28.2",
    **ENFORCES,
}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (DOCKER_20, ("docker", False, "20.10.24+dfsg1", 20)),
        (DOCKER_ROOTLESS, ("docker", True, "20.10.24+dfsg1", 20)),
        (PODMAN_4, ("podman", False, "4.3.1", 4)),
        (PODMAN_4 | {"Rootless": True}, ("podman", True, "4.3.1", 4)),
    ],
)
def test_an_engine_is_known_by_its_answers(
    info: dict[str, Any], expected: tuple[str, bool, str, int]
) -> None:
    engine = describe("unix:///socket", info)
    assert (engine.name, engine.rootless, engine.version, engine.major) == expected
    assert (engine.cpus, engine.runtime, engine.seccomp) == (2, "runc", None)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (DOCKER_20, []),
        (PODMAN_4, []),
        (DOCKER_ROOTLESS, []),
        (DOCKER_20 | {"PidsLimit": False}, ["processes"]),
        # It claims to, and lets every container take what it likes.
        (PODMAN_4 | {"Rootless": True}, ["memory", "processes", "CPU time"]),
    ],
)
def test_limits_that_would_not_hold_are_known(info: dict[str, Any], expected: list[str]) -> None:
    assert unenforced(describe("unix:///socket", info), info) == expected


# The SDK leaves the socket that it could not connect to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_answers(tmp_path: Path) -> None:
    def code() -> str:
        with pytest.raises(PlatformError) as refusal:
            connect(f"unix://{tmp_path}/no.sock")
        return refusal.value.code

    assert code() == "engine_unavailable"
    gc.collect()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (APIError("500 Server Error", Response(), "no space left on device"), "engine_error"),
        (NoConnection("Connection aborted."), "engine_unavailable"),
        (ReadTimeout("Read timed out."), "engine_unavailable"),
        (BrokenPipeError(32, "Broken pipe"), "engine_unavailable"),
    ],
)
def test_what_the_sdk_raises_is_the_platforms_fault(error: Exception, code: str) -> None:
    with pytest.raises(PlatformError) as refusal, engine_errors():
        raise error
    assert refusal.value.code == code


@pytest.mark.container
def test_real_engines_answer(engine: Running) -> None:
    client, found = connect(engine.engine.docker_host)
    client.close()
    assert isinstance(found, Engine)
    assert found == engine.engine
    assert (found.seccomp is not None) == (found.name == "podman")
