"""Staging a detector for one container, as a worker does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from docker.client import DockerClient

from protocols.contract import Budget, Phase, StepRequest
from sandbox.limits import LABEL_INSTANCE, ContainerSpec, Lease
from sandbox.runner import Ended, run
from tests.engines import Running

MIB = 1 << 20
INSTANCE = "test"

BUDGET = Budget(
    timeout_s=30,
    memory_bytes=128 * MIB,
    cpus=1,
    pids=32,
    shm_bytes=8 * MIB,
    tmp_bytes=16 * MIB,
    state_bytes=4 * MIB,
    output_bytes=2 * MIB,
    log_bytes=256 * 1024,
)


def stage(
    folder: Path,
    image_id: str,
    detector: str,
    phase: Phase = Phase.PREDICT,
    *,
    token: int = 1,
    **budget: float,
) -> ContainerSpec:
    """Lay out ``folder`` for one container; ``detector`` is Python source, ``budget`` differs from BUDGET."""
    limits = replace(BUDGET, **budget)  # type: ignore[arg-type]
    for name in ("data", "state", "output"):
        (folder / name).mkdir(parents=True)
    (folder / "data" / "detector.py").write_text(detector)
    request = StepRequest(phase, window=0, seed=1, benchmark="test", n_images=3, budget=limits)
    (folder / "request.json").write_text(request.to_json())
    return ContainerSpec(
        image_id=image_id,
        phase=phase,
        data=folder / "data",
        request=folder / "request.json",
        state=folder / "state",
        output=folder / "output",
        budget=limits,
        lease=Lease(INSTANCE, folder.name, token, "worker-1"),
    )


def run_quietly(running: Running, spec: ContainerSpec) -> Ended:
    """Run a container that nobody watches or stops."""
    return run(running.client, running.engine, spec, on_progress=lambda _: None, should_stop=lambda: None)


def containers(client: DockerClient) -> list[str]:
    """The names of the containers of the tests that exist, running or not."""
    found = client.api.containers(all=True, filters={"label": f"{LABEL_INSTANCE}={INSTANCE}"})
    return [container["Names"][0].lstrip("/") for container in found]
