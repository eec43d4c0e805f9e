"""Running one container from creation to proof that it is gone, and watching it in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError, NotFound

from protocols.contract import MAX_OUTPUT_FILES, MAX_STATE_FILES, Phase
from protocols.errors import ParticipantError, PlatformError
from sandbox import tree
from sandbox.engine import Engine, engine_errors
from sandbox.limits import ContainerSpec, User, create_arguments, sandbox_user
from sandbox.logs import CoarseProgress, LogReader
from sandbox.memory import PeakMemory
from sandbox.seccomp import tightened

POLL_S = 0.25
# How often a container that has closed its output, or is silent, is looked at.
INSPECT_S = 2.0
GRACE_S = 2.0
DEATH_S = 20.0
# Less free room than this on the staging disk stops a container, whoever filled it: a process
# can hold files that it has already deleted, and no walk sees those.
RESERVE_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class Ended:
    """How a container ended; ``sandbox.outcome.outcome`` says whose fault it is.

    ``fault`` is the error code of the bound for which the runner killed it, ``stopped`` the
    caller's reason to stop it, ``start_error`` the engine's words if it never started. ``log`` is
    what the caller asked to be kept, ``peak_memory_bytes`` what the kernel counted, where it can be read.
    """

    exit_code: int | None
    oom_killed: bool
    fault: str | None
    stopped: str | None
    start_error: str | None
    log_tail: str
    log_bytes: int
    duration_s: float
    log: str = ""
    peak_memory_bytes: int | None = None


def run(
    client: DockerClient,
    engine: Engine,
    spec: ContainerSpec,
    *,
    on_progress: Callable[[float], None],
    should_stop: Callable[[], str | None],
    kept_log_bytes: int = 0,
) -> Ended:
    """Run the container that ``spec`` describes and return how it ended; afterwards it is gone.

    ``on_progress`` gets the last reported fraction whenever it has changed (in prediction coarsened by
    ``CoarseProgress``), ``should_stop`` is
    asked every ``POLL_S`` seconds and stops the container with the reason that it returns; both are
    called in the caller's thread. ``kept_log_bytes`` of the beginning and of the end of its output are
    kept beside the usual tail. Raises ``PlatformError`` (engine_unavailable, engine_error) when
    the engine fails, ``ParticipantError("archive_volumes")`` for an image that declares volumes.
    """
    user = sandbox_user(engine, os.geteuid(), os.getegid())
    arguments = create_arguments(spec, engine, user)
    _own(spec, user)
    if engine.seccomp is not None:
        spec.seccomp.write_text(json.dumps(tightened(json.loads(engine.seccomp.read_bytes()))))
    with engine_errors():
        _refuse_volumes(client, spec.image_id)
        try:
            return _run(client, spec, arguments, on_progress, should_stop, kept_log_bytes)
        finally:
            remove(client, spec.lease.container_name)


def _own(spec: ContainerSpec, user: User) -> None:
    if os.geteuid() == user.uid:
        return
    for root in spec.writable:
        os.chown(root, user.uid, user.gid)
        for path, _ in tree.walk(root):
            os.chown(root / path, user.uid, user.gid, follow_symlinks=False)


def _refuse_volumes(client: DockerClient, image_id: str) -> None:
    # The engine would make each a writable folder on its own disk that nothing bounds.
    volumes = client.api.inspect_image(image_id)["Config"].get("Volumes")
    if volumes:
        raise ParticipantError("archive_volumes", f"The image declares the volumes {sorted(volumes)}.")


def _run(
    client: DockerClient,
    spec: ContainerSpec,
    arguments: dict[str, Any],
    on_progress: Callable[[float], None],
    should_stop: Callable[[], str | None],
    kept_log_bytes: int,
) -> Ended:
    try:
        container = client.containers.create(**arguments)
        # Attached before the start, or the first lines would be lost: the log is kept nowhere else.
        reader = LogReader(container.attach_socket(), spec.budget.log_bytes, kept_log_bytes)
        reader.start()
        started = time.monotonic()
        container.start()
    except APIError as error:
        # An image that can't be started is refused at any of these calls, as the engine likes.
        error.response.close()
        return Ended(None, False, None, None, str(error.explanation), "", 0, 0.0)
    watch = _Watch(container, spec, reader, started + spec.budget.timeout_s)
    fault, stopped = watch.until_end(on_progress, should_stop)
    duration_s = time.monotonic() - started
    state = _state(container)
    reader.ended.wait(GRACE_S)
    return Ended(
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        fault=fault or (None if stopped else watch.final_fault()),
        stopped=stopped,
        start_error=None,
        log_tail=reader.log.tail,
        log_bytes=reader.log.size_bytes,
        duration_s=duration_s,
        log=reader.log.text,
        peak_memory_bytes=watch.memory.peak_bytes,
    )


class _Watch:
    """The bounds that the engine does not enforce: time, output, disk, and the caller's wish."""

    def __init__(self, container: Any, spec: ContainerSpec, reader: LogReader, deadline: float) -> None:
        self._container = container
        self._spec = spec
        self._reader = reader
        self._deadline = deadline
        self._next_disk = 0.0
        self.memory = PeakMemory(container.id, _state(container)["Pid"])
        self._coarse = CoarseProgress() if spec.phase is Phase.PREDICT else None

    def until_end(
        self, on_progress: Callable[[float], None], should_stop: Callable[[], str | None]
    ) -> tuple[str | None, str | None]:
        """Wait until the container is dead; return (code of the bound broken, reason to stop)."""
        reported: float | None = None
        next_inspect = time.monotonic() + INSPECT_S
        while True:
            self.memory.look()
            if self._reader.ended.wait(POLL_S):
                if not _is_running(self._container):
                    return None, None
                # It has closed its output and goes on.
                time.sleep(POLL_S)
            if time.monotonic() > next_inspect:
                if not _is_running(self._container):
                    return None, None
                next_inspect = time.monotonic() + INSPECT_S
            progress = self._progress()
            if progress is not None and progress != reported:
                on_progress(progress)
                reported = progress
            stopped = should_stop()
            if stopped is not None:
                _terminate(self._container)
                return None, stopped
            if time.monotonic() > self._deadline:
                _terminate(self._container)
                return "container_timeout", None
            fault = self._fault()
            if fault is not None:
                _kill(self._container)
                return fault, None

    def final_fault(self) -> str | None:
        """The code of the bound that a dead container has broken unseen, at its very end."""
        return "log_flood" if self._reader.log.flooded else self._disk_fault()

    def _progress(self) -> float | None:
        reported = self._reader.log.progress
        if self._coarse is None:
            return reported
        started = self._deadline - self._spec.budget.timeout_s
        return self._coarse.at(time.monotonic() - started, reported)

    def _fault(self) -> str | None:
        if self._reader.log.flooded:
            return "log_flood"
        begun = time.monotonic()
        if begun < self._next_disk:
            return None
        fault = self._disk_fault()
        # A walk over many files must not become the worker's main occupation.
        self._next_disk = time.monotonic() + 10 * (time.monotonic() - begun)
        return fault

    def _disk_fault(self) -> str | None:
        spec, budget = self._spec, self._spec.budget
        fault = tree.fault(spec.output, "output", max_bytes=budget.output_bytes, max_files=MAX_OUTPUT_FILES)
        if fault is None and spec.phase is Phase.TRAIN:
            fault = tree.fault(spec.state, "state", max_bytes=budget.state_bytes, max_files=MAX_STATE_FILES)
        if fault is None and shutil.disk_usage(spec.output).free < RESERVE_BYTES:
            fault = "storage_full"
        return fault


def _state(container: Any) -> dict[str, Any]:
    container.reload()
    state: dict[str, Any] = container.attrs["State"]
    return state


def _is_running(container: Any) -> bool:
    return bool(_state(container)["Running"])


def _terminate(container: Any) -> None:
    """SIGTERM, a short grace to write the last things, SIGKILL."""
    _signal(container, signal.SIGTERM)
    if not _wait_dead(container, GRACE_S):
        _kill(container)


def _kill(container: Any) -> None:
    _signal(container, signal.SIGKILL)
    if not _wait_dead(container, DEATH_S):
        raise PlatformError("engine_error", f"Container {container.name} outlives SIGKILL.")


def _signal(container: Any, number: signal.Signals) -> None:
    try:
        container.kill(signal=number.name)
    except APIError:
        # Engines refuse to kill what is already dead, each with another status.
        if _is_running(container):
            raise


def _wait_dead(container: Any, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while _is_running(container):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def remove(client: DockerClient, container: str) -> None:
    """Remove a container by name or id, running or not, and make sure that it is gone.

    Raises ``PlatformError("engine_error")`` when it is still there after ``DEATH_S`` seconds.
    """
    deadline = time.monotonic() + DEATH_S
    while True:
        try:
            client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # Usually another removal is in progress.
            if time.monotonic() > deadline:
                raise PlatformError(
                    "engine_error", f"Container {container} can't be removed: {error}"
                ) from error
            time.sleep(0.1)
