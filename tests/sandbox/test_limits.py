"""What the sandbox asks of an engine, decided without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from protocols.contract import Phase
from protocols.errors import PlatformError
from sandbox.engine import Engine
from sandbox.limits import SANDBOX_ID, ContainerSpec, User, create_arguments, sandbox_user
from tests.sandbox.stage import stage

DOCKER = Engine("docker", "unix:///run/docker.sock", False, "28.2.2", 64, "runc")
PODMAN = Engine("podman", "unix:///run/podman.sock", False, "5.4.0", 64, "crun", Path("/seccomp.json"))
ROOTLESS = replace(PODMAN, rootless=True)
USER = User(SANDBOX_ID, SANDBOX_ID)


@pytest.fixture
def spec(tmp_path: Path) -> ContainerSpec:
    return stage(tmp_path / "step", "sha256:1", "", cpus=8.0, gpus=2)


@pytest.mark.parametrize("engine", [DOCKER, PODMAN, ROOTLESS])
def test_no_gpu_unless_asked_for(spec: ContainerSpec, engine: Engine) -> None:
    arguments = create_arguments(spec, engine, USER)
    assert "device_requests" not in arguments
    assert arguments["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"


@pytest.mark.parametrize("gpus", [("0",), ("1", "3"), ("GPU-3a23c669", "MIG-7b1c")])
def test_docker_gets_a_device_request_for_exactly_these(spec: ContainerSpec, gpus: tuple[str, ...]) -> None:
    arguments = create_arguments(replace(spec, gpus=gpus), DOCKER, USER)
    assert arguments["device_requests"] == [
        {
            "Driver": "nvidia",
            "Count": 0,
            "DeviceIDs": list(gpus),
            "Capabilities": [["gpu"]],
            "Options": {},
        }
    ]
    assert arguments["environment"]["NVIDIA_VISIBLE_DEVICES"] == ",".join(gpus)


def test_podman_gets_the_names_of_exactly_these(spec: ContainerSpec) -> None:
    request = create_arguments(replace(spec, gpus=("1", "3")), PODMAN, USER)["device_requests"]
    assert [(r["Driver"], r["DeviceIDs"], r["Count"]) for r in request] == [
        ("cdi", ["nvidia.com/gpu=1", "nvidia.com/gpu=3"], 0)
    ]


def test_a_podman_that_would_drop_the_request_is_refused(spec: ContainerSpec) -> None:
    with pytest.raises(PlatformError, match=r"Podman 5 or newer; this is 4\.9\.3"):
        create_arguments(replace(spec, gpus=("0",)), replace(PODMAN, version="4.9.3"), USER)


def test_a_stronger_runtime(spec: ContainerSpec) -> None:
    strong = replace(spec, runtime="runsc")
    assert create_arguments(strong, DOCKER, USER)["runtime"] == "runsc"
    assert "runtime" not in create_arguments(spec, DOCKER, USER)
    # Podman takes it from its service alone, so that has to have it.
    assert "runtime" not in create_arguments(strong, replace(PODMAN, runtime="runsc"), USER)
    with pytest.raises(PlatformError, match="podman --runtime runsc system service"):
        create_arguments(strong, PODMAN, USER)


@pytest.mark.parametrize(
    ("engine", "ids", "user"),
    [
        (DOCKER, (0, 0), User(SANDBOX_ID, SANDBOX_ID)),
        (PODMAN, (0, 0), User(SANDBOX_ID, SANDBOX_ID)),
        (DOCKER, (1000, 1001), User(1000, 1001)),
        (ROOTLESS, (1000, 1001), User(1000, 1001, "keep-id")),
    ],
)
def test_the_user_is_never_root(
    engine: Engine, ids: tuple[int, int], user: User, spec: ContainerSpec
) -> None:
    assert sandbox_user(engine, *ids) == user
    arguments = create_arguments(spec, engine, user)
    assert arguments["user"] == f"{user.uid}:{user.gid}"
    assert arguments.get("userns_mode") == user.userns
    assert user.uid != 0


def test_no_more_cpus_than_there_are(spec: ContainerSpec) -> None:
    assert create_arguments(spec, DOCKER, USER)["nano_cpus"] == 8e9
    assert create_arguments(spec, replace(DOCKER, cpus=2), USER)["nano_cpus"] == 2e9


def test_the_state_is_writable_in_training_alone(spec: ContainerSpec) -> None:
    def mounts(phase: Phase) -> dict[str, bool]:
        arguments = create_arguments(replace(spec, phase=phase), DOCKER, USER)
        return {mount["Target"]: mount["ReadOnly"] for mount in arguments["mounts"]}

    request, state, output = "/bench/request.json", "/bench/state", "/bench/output"
    assert mounts(Phase.TRAIN) == {request: True, "/bench/train": True, state: False, output: False}
    assert mounts(Phase.PREDICT) == {request: True, "/bench/eval": True, state: True, output: False}


def test_the_system_call_filter_is_tightened_where_it_is_open(spec: ContainerSpec) -> None:
    assert create_arguments(spec, DOCKER, USER)["security_opt"] == ["no-new-privileges"]
    assert create_arguments(spec, PODMAN, USER)["security_opt"] == [
        "no-new-privileges",
        f"seccomp={spec.request.parent}/seccomp.json",
    ]


def test_no_capability_is_added_back(spec: ContainerSpec) -> None:
    for engine in (DOCKER, PODMAN, ROOTLESS):
        arguments = create_arguments(spec, engine, USER)
        assert arguments["cap_drop"] == ["ALL"]
        assert not {"cap_add", "privileged", "devices", "group_add", "pid_mode"} & set(arguments)
