"""Every restriction of the sandbox, as the arguments of one ``containers.create`` call.

This module decides and touches nothing. ``tests/sandbox/test_conformance.py``
looks for each restriction in a live container on every engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from protocols.contract import EVAL_PATH, OUTPUT_PATH, REQUEST_PATH, STATE_PATH, TRAIN_PATH, Budget, Phase
from protocols.errors import PlatformError
from sandbox.engine import Engine

LABEL_INSTANCE = "io.tidemark.instance"
LABEL_STEP = "io.tidemark.step"
LABEL_TOKEN = "io.tidemark.token"  # noqa: S105 - a fencing token is a counter, not a secret.
LABEL_WORKER = "io.tidemark.worker"

# The user that containers get when the worker is root; no account has it on common distributions.
SANDBOX_ID = 10001
OPEN_FILES = 4096
# A file may exceed its directory's budget by this much, so that the size watch sees the excess.
FILE_SLACK_BYTES = 1 << 20
# RLIMIT_NPROC counts the processes of a user in all containers of the machine; the pids cgroup
# is the bound of one container. The factor keeps one container from starving its neighbours.
PROCESS_FACTOR = 16


@dataclass(frozen=True)
class User:
    """Who the container runs as; ``userns`` is the engine's user namespace mode, if not its default."""

    uid: int
    gid: int
    userns: str | None = None


@dataclass(frozen=True)
class Lease:
    """Which claim a container belongs to; written on it as labels, so that strays are known."""

    instance: str
    step: str
    token: int
    worker: str

    @property
    def labels(self) -> dict[str, str]:
        return {
            LABEL_INSTANCE: self.instance,
            LABEL_STEP: self.step,
            LABEL_TOKEN: str(self.token),
            LABEL_WORKER: self.worker,
        }

    @property
    def container_name(self) -> str:
        return f"tidemark-{self.instance}-{self.step}-{self.token}"


@dataclass(frozen=True)
class ContainerSpec:
    """One phase of one detector over staged directories.

    ``data`` is mounted read-only at ``/bench/train`` or ``/bench/eval``, ``request`` (a file) at
    ``/bench/request.json``. ``output`` is writable, ``state`` in the training phase too: then it
    must hold copies, for a hard link would let the container change the store. ``gpus`` are device
    ids as the driver numbers them; ``runtime`` names a stronger OCI runtime (``runsc``, ``kata``).
    """

    image_id: str
    phase: Phase
    data: Path
    request: Path
    state: Path
    output: Path
    budget: Budget
    lease: Lease
    gpus: tuple[str, ...] = ()
    runtime: str | None = None

    @property
    def seccomp(self) -> Path:
        """Where the runner puts the tightened system call filter for engines that need one."""
        return self.request.with_name("seccomp.json")

    @property
    def writable(self) -> tuple[Path, ...]:
        return (self.state, self.output) if self.phase is Phase.TRAIN else (self.output,)


def sandbox_user(engine: Engine, uid: int, gid: int) -> User:
    """The user for containers of a worker that is ``uid:gid`` itself; never root.

    A root worker hands its containers a user without an account. Another worker can't change the
    owner of what it stages, so its containers run as itself; a rootless Podman maps it to itself.
    """
    if uid == 0:
        return User(SANDBOX_ID, SANDBOX_ID)
    return User(uid, gid, "keep-id" if engine.rootless and engine.name == "podman" else None)


def create_arguments(spec: ContainerSpec, engine: Engine, user: User) -> dict[str, Any]:
    """The keyword arguments for ``client.containers.create``.

    Raises ``PlatformError("engine_error")`` when the engine can't do what the spec asks.
    """
    budget = spec.budget
    largest = max(budget.state_bytes, budget.output_bytes, budget.tmp_bytes, budget.shm_bytes)
    arguments: dict[str, Any] = {
        "image": spec.image_id,
        "command": [spec.phase.value],
        "name": spec.lease.container_name,
        "labels": spec.lease.labels,
        "user": f"{user.uid}:{user.gid}",
        "hostname": "sandbox",
        "environment": _environment(spec),
        "mounts": _mounts(spec),
        "tmpfs": _tmpfs(engine, budget),
        "network_mode": "none",
        "ipc_mode": "private",
        "cgroupns": "private",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", *_seccomp(spec, engine)],
        "pids_limit": budget.pids,
        "mem_limit": budget.memory_bytes,
        "memswap_limit": budget.memory_bytes,
        # Docker refuses more CPUs than the machine has.
        "nano_cpus": int(min(budget.cpus, engine.cpus) * 1e9),
        "shm_size": budget.shm_bytes,
        # All set explicitly: an engine without CAP_SYS_RESOURCE can't raise its defaults.
        "ulimits": [
            _ulimit("nofile", OPEN_FILES),
            _ulimit("nproc", PROCESS_FACTOR * budget.pids),
            _ulimit("fsize", largest + FILE_SLACK_BYTES),
            _ulimit("core", 0),
        ],
        "init": True,
        # Output goes through the runner, which bounds it, and never to the engine's disk.
        "log_config": LogConfig(type="none"),
        "restart_policy": {"Name": "no"},
        # An image may declare a health check, which the engine would run again and again.
        "healthcheck": {"test": ["NONE"]},
    }
    if user.userns is not None:
        arguments["userns_mode"] = user.userns
    if spec.gpus:
        arguments["device_requests"] = [_device_request(engine, spec.gpus)]
    if spec.runtime is not None:
        arguments |= _runtime(engine, spec.runtime)
    return arguments


def _seccomp(spec: ContainerSpec, engine: Engine) -> list[str]:
    # Docker's own default is closed already.
    return [] if engine.seccomp is None else [f"seccomp={spec.seccomp}"]


def _ulimit(name: str, value: int) -> Ulimit:
    return Ulimit(name=name, soft=value, hard=value)


def _environment(spec: ContainerSpec) -> dict[str, str]:
    # NVIDIA's runtime obeys this variable from the image unless it is set here.
    return {"HOME": "/tmp", "NVIDIA_VISIBLE_DEVICES": ",".join(spec.gpus) or "void"}  # noqa: S108


def _mounts(spec: ContainerSpec) -> list[Mount]:
    train = spec.phase is Phase.TRAIN
    return [
        Mount(REQUEST_PATH, str(spec.request), type="bind", read_only=True),
        Mount(TRAIN_PATH if train else EVAL_PATH, str(spec.data), type="bind", read_only=True),
        Mount(STATE_PATH, str(spec.state), type="bind", read_only=not train),
        Mount(OUTPUT_PATH, str(spec.output), type="bind"),
    ]


def _tmpfs(engine: Engine, budget: Budget) -> dict[str, str]:
    # Podman fills a tmpfs with what the image has there, which may not fit.
    podman = ",notmpcopyup" if engine.name == "podman" else ""
    # Podman makes /run and /var/tmp writable beside a read-only root unless they are mounted here.
    closed = "ro,nosuid,nodev,noexec,size=64k" + podman
    # Compilers of kernels (Triton, inductor) load what they build in /tmp, so it stays executable.
    scratch = f"rw,exec,nosuid,nodev,size={budget.tmp_bytes},mode=1777" + podman
    return {"/tmp": scratch, "/run": closed, "/var/tmp": closed}  # noqa: S108


def _device_request(engine: Engine, gpus: tuple[str, ...]) -> DeviceRequest:
    if engine.name == "docker":
        return DeviceRequest(driver="nvidia", device_ids=list(gpus), capabilities=[["gpu"]])
    if engine.major < 5:
        # Its Docker API drops device requests without a word and can't name a CDI device otherwise.
        raise PlatformError("engine_error", f"GPUs need Podman 5 or newer; this is {engine.version}.")
    return DeviceRequest(driver="cdi", device_ids=[f"nvidia.com/gpu={gpu}" for gpu in gpus])


def _runtime(engine: Engine, runtime: str) -> dict[str, str]:
    if engine.name == "docker":
        return {"runtime": runtime}
    # Podman's Docker API ignores the field, so the service itself must run with that runtime.
    if engine.runtime != runtime:
        raise PlatformError(
            "engine_error",
            f"Podman runs containers with {engine.runtime}, not {runtime}. "
            f"Start it with `podman --runtime {runtime} system service`.",
        )
    return {}
