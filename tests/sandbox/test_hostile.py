"""Each directory of ``tests/containers`` is a detector and what must become of it, on every engine.

``expect.json``: ``phase``; ``code``, the error code or null; ``budget``, what differs from the
tests' budget; ``had_state``, whether an earlier window has left files; ``log``, what its output
must contain.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import psutil
import pytest

from protocols.contract import Phase
from protocols.errors import ParticipantError
from sandbox.limits import ContainerSpec
from sandbox.outcome import outcome
from sandbox.output import read_output, read_predictions, read_state
from sandbox.runner import Ended, run
from sandbox.tree import remove_tree
from tests.engines import Running
from tests.sandbox.stage import MIB, containers, stage

pytestmark = pytest.mark.container

CASES = Path(__file__).parents[1] / "containers"
IMAGE_IDS = ["a1" * 16, "b2" * 16, "c3" * 16]
# What a run may take beyond the container's own time: two seconds of grace, and a slow machine.
OVERHEAD_S = 15


def collect(spec: ContainerSpec, ended: Ended, *, had_state: bool) -> None:
    """What a worker does with a container that has ended."""
    error = outcome(ended, spec.budget)
    if error is not None:
        raise error
    read_output(spec.output, spec.budget)
    if spec.phase is Phase.TRAIN:
        read_state(spec.state, spec.budget, had_state=had_state)
    else:
        assert read_predictions(spec.output, IMAGE_IDS, spec.budget).shape == (len(IMAGE_IDS),)


def processes_with(path: Path) -> list[int]:
    """The processes that have something below ``path`` mounted: those of the container."""
    found = []
    for pid in psutil.pids():
        try:
            mounts = Path(f"/proc/{pid}/mountinfo").read_text()
        except (FileNotFoundError, ProcessLookupError, OSError):
            continue
        if str(path) in mounts:
            found.append(pid)
    return found


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_hostile_container(engine: Running, case: str, tmp_path: Path) -> None:
    expect = json.loads((CASES / case / "expect.json").read_text())
    had_state = expect.get("had_state", False)
    folder = tmp_path / "step"
    spec = stage(
        folder,
        engine.image_id,
        (CASES / case / "detector.py").read_text(),
        Phase(expect["phase"]),
        **expect.get("budget", {}),
    )
    (spec.data / "image_ids.txt").write_text("\n".join(IMAGE_IDS))
    if had_state:
        (spec.state / "weights").write_bytes(bytes(1000))
    staged = {path.name: path.read_bytes() for path in spec.data.iterdir()}
    memory = psutil.Process().memory_info().rss
    progress: list[float] = []
    code = None

    started = time.monotonic()
    ended = run(engine.client, engine.engine, spec, on_progress=progress.append, should_stop=lambda: None)
    assert time.monotonic() - started < spec.budget.timeout_s + OVERHEAD_S
    try:
        collect(spec, ended, had_state=had_state)
    except ParticipantError as error:
        code = error.code
    assert code == expect["code"], ended
    assert expect.get("log", "") in ended.log_tail
    assert all(0 <= fraction <= 1 for fraction in progress)

    # The host is unharmed and the runner alive.
    assert containers(engine.client) == []
    assert processes_with(folder) == []
    assert [thread for thread in threading.enumerate() if thread.name == "container-log"] == []
    assert {path.name: path.read_bytes() for path in spec.data.iterdir()} == staged
    assert psutil.Process().memory_info().rss - memory < 64 * MIB
    assert engine.client.ping()
    remove_tree(folder)
    assert not folder.exists()


def test_every_case_is_complete() -> None:
    for case in CASES.iterdir():
        assert {path.name for path in case.iterdir()} == {"detector.py", "expect.json"}
