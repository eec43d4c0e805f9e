"""Every restriction of the sandbox, looked for in a live container on every engine.

``inspect`` is what the engine says of the container while it runs, ``inside`` what the container
itself finds out. A restriction counts where it holds inside.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protocols.contract import Phase
from sandbox.limits import (
    FILE_SLACK_BYTES,
    LABEL_INSTANCE,
    LABEL_STEP,
    LABEL_TOKEN,
    LABEL_WORKER,
    OPEN_FILES,
    PROCESS_FACTOR,
    SANDBOX_ID,
    ContainerSpec,
)
from sandbox.runner import Ended
from tests.engines import Engines, Running, make_image
from tests.sandbox.stage import run_quietly, stage

pytestmark = pytest.mark.container

INSIDE = (Path(__file__).parent / "detectors" / "inside.py").read_text()
START_S = 30

# Everything that a hostile image could ask for in its own settings.
HOSTILE_SETTINGS = (
    "USER root",
    "ENV NVIDIA_VISIBLE_DEVICES=all",
    "HEALTHCHECK --interval=1s CMD true",
    "LABEL io.containers.capabilities=CHOWN,SYS_ADMIN",
    "LABEL io.tidemark.token=999",
    "STOPSIGNAL SIGKILL",
)


@dataclass
class Live:
    spec: ContainerSpec
    inspect: dict[str, Any]
    inside: dict[str, Any]

    @property
    def host(self) -> dict[str, Any]:
        config: dict[str, Any] = self.inspect["HostConfig"]
        return config


class Containers:
    """One live container an engine, of an image with hostile settings, for all tests of this module."""

    def __init__(self, engines: Engines, folder: Path, parts: ExitStack) -> None:
        self._engines, self._folder, self._parts = engines, folder, parts
        self._live: dict[str, Live] = {}

    def get(self, name: str) -> Live:
        if name not in self._live:
            self._live[name] = self._start(self._engines.get(name))
        return self._live[name]

    def _start(self, running: Running) -> Live:
        name = f"localhost/tidemark/test-hostile:{os.getpid()}"
        image_id = make_image(running.client, running.image_id, name, *HOSTILE_SETTINGS)
        self._parts.callback(running.client.images.remove, name, force=True)
        spec = stage(self._folder / running.engine.name, image_id, INSIDE, Phase.TRAIN, timeout_s=600)
        ended: list[Ended] = []
        runner = threading.Thread(target=lambda: ended.append(run_quietly(running, spec)))
        runner.start()
        self._parts.callback(runner.join)
        self._parts.callback((spec.state / "end").touch)
        report = spec.output / "report.json"
        deadline = time.monotonic() + START_S
        while not report.exists():
            assert time.monotonic() < deadline, ended
            assert runner.is_alive(), ended
            time.sleep(0.05)
        inspect = running.client.api.inspect_container(spec.lease.container_name)
        return Live(spec, inspect, json.loads(report.read_text()))


@pytest.fixture(scope="module")
def live_containers(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    with ExitStack() as parts:
        yield Containers(engines, tmp_path_factory.mktemp("live"), parts)


@pytest.fixture(params=("podman", "docker"))
def live(request: pytest.FixtureRequest, live_containers: Containers) -> Live:
    return live_containers.get(request.param)


def test_it_is_called_with_its_phase_alone(live: Live) -> None:
    assert live.inside["arguments"] == ["train"]


def test_no_network(live: Live) -> None:
    assert live.host["NetworkMode"] == "none"
    assert live.inside["interfaces"] == ["lo"]
    assert live.inside["tries"]["connect"] == "ENETUNREACH"


def test_nothing_is_writable_but_the_mounts_and_scratch(live: Live) -> None:
    assert live.host["ReadonlyRootfs"] is True
    assert live.inside["writable"] == [
        "/bench/output",
        "/bench/state",
        "/dev/mqueue",
        "/dev/shm",
        "/tmp",
    ]


def test_no_capability(live: Live) -> None:
    sets = {name: live.inside["status"][name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert sets == dict.fromkeys(sets, "0" * 16)


def test_no_new_privileges(live: Live) -> None:
    assert "no-new-privileges" in str(live.host["SecurityOpt"])
    assert live.inside["status"]["NoNewPrivs"] == "1"


def test_system_calls_are_filtered(live: Live) -> None:
    assert live.inside["status"]["Seccomp"] == "2"
    assert live.inside["tries"]["unshare"] == "EPERM"
    assert live.inside["tries"]["kernel log"] == "EPERM"


def test_forced_user_without_groups(live: Live) -> None:
    uid = os.geteuid() or SANDBOX_ID
    gid = os.getegid() or SANDBOX_ID
    assert (live.inside["uid"], live.inside["gid"], live.inside["groups"]) == (uid, gid, [gid])
    assert uid != 0
    assert live.inside["tries"]["setuid"] == "EPERM"
    assert live.inside["tries"]["chown"] == "EPERM"


def test_not_privileged(live: Live) -> None:
    assert live.host["Privileged"] is False
    assert live.inside["tries"]["mount"] == "EPERM"
    assert live.inside["tries"]["block device"] == "EPERM"


def test_processes(live: Live) -> None:
    assert live.host["PidsLimit"] == live.spec.budget.pids
    assert live.inside["pids"] == [str(live.spec.budget.pids)]


def test_memory_without_swap(live: Live) -> None:
    memory = live.spec.budget.memory_bytes
    assert live.host["Memory"] == live.host["MemorySwap"] == memory
    assert live.inside["memory"] == [str(memory)]
    # cgroup v1 counts both together, v2 the swap alone; without swap accounting there is no file.
    assert live.inside["swap"] in ([str(memory)], ["0"], None)


def test_cpus(live: Live) -> None:
    assert live.host["NanoCpus"] == live.spec.budget.cpus * 1e9
    # Microseconds of each 100 ms.
    assert live.inside["cpu"][0] == str(int(live.spec.budget.cpus * 100_000))


def test_shared_memory(live: Live) -> None:
    assert live.host["ShmSize"] == live.inside["shm_bytes"] == live.spec.budget.shm_bytes


def test_scratch_space(live: Live) -> None:
    assert live.inside["tmp_bytes"] == live.spec.budget.tmp_bytes
    assert {"nosuid", "nodev"} <= set(live.inside["mounts"]["/tmp"])


def test_run_and_var_tmp_are_closed(live: Live) -> None:
    for path in ("/run", "/var/tmp"):
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(live.inside["mounts"][path])


def test_open_files(live: Live) -> None:
    assert live.inside["limits"]["nofile"] == [OPEN_FILES, OPEN_FILES]


def test_processes_of_the_user(live: Live) -> None:
    assert live.inside["limits"]["nproc"] == [PROCESS_FACTOR * live.spec.budget.pids] * 2


def test_file_size(live: Live) -> None:
    assert live.inside["limits"]["fsize"] == [live.spec.budget.tmp_bytes + FILE_SLACK_BYTES] * 2


def test_no_core_dumps(live: Live) -> None:
    assert live.inside["limits"]["core"] == [0, 0]


def test_an_init_reaps_and_forwards_signals(live: Live) -> None:
    assert live.host["Init"] is True
    assert "init" in Path(live.inside["init"]).name


def test_the_engine_keeps_no_log(live: Live) -> None:
    assert live.host["LogConfig"]["Type"] == "none"


def test_it_is_never_restarted(live: Live) -> None:
    assert live.host["RestartPolicy"]["Name"] == "no"
    assert live.host["AutoRemove"] is False


def test_labels_of_its_lease(live: Live) -> None:
    labels = live.inspect["Config"]["Labels"]
    lease = live.spec.lease
    assert [labels[name] for name in (LABEL_INSTANCE, LABEL_STEP, LABEL_TOKEN, LABEL_WORKER)] == [
        lease.instance,
        lease.step,
        str(lease.token),
        lease.worker,
    ]


def test_no_health_check_of_the_image(live: Live) -> None:
    assert live.inspect["Config"]["Healthcheck"]["Test"] == ["NONE"]


def test_data_and_request_are_read_only(live: Live) -> None:
    for path in ("/bench/train", "/bench/request.json"):
        assert "ro" in live.inside["mounts"][path]


def test_mounts_do_not_reach_the_host(live: Live) -> None:
    assert {mount["Destination"] for mount in live.inspect["Mounts"]} == {
        "/bench/train",
        "/bench/request.json",
        "/bench/state",
        "/bench/output",
    }
    assert {mount["Propagation"] for mount in live.inspect["Mounts"]} <= {"rprivate", "private", ""}


def test_no_device_of_the_host(live: Live) -> None:
    assert set(live.inside["devices"]) <= {"full", "null", "ptmx", "random", "tty", "urandom", "zero"}
    assert not live.host["Devices"]
    assert not live.host["DeviceRequests"]


def test_no_gpu_by_way_of_the_environment(live: Live) -> None:
    assert live.inside["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_namespaces_of_its_own(live: Live) -> None:
    assert live.host["IpcMode"] in ("private", "shareable")
    assert live.host["PidMode"] in ("", "private")
    assert live.inside["hostname"] == "sandbox"


def test_home_is_scratch(live: Live) -> None:
    assert live.inside["environment"]["HOME"] == "/tmp"


def test_predicting_can_only_write_output(engine: Running, tmp_path: Path) -> None:
    writes = """
for path in ("/bench/state/file", "/bench/eval/file", "/bench/request.json"):
    try:
        open(path, "w")
    except OSError as error:
        print(path, error.strerror)
"""
    ended = run_quietly(engine, stage(tmp_path, engine.image_id, writes))
    assert ended.log_tail.count("Read-only file system") == 3, ended
