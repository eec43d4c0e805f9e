"""Finding, starting and stopping real engines."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local import engine as local_engine
from local.engine import NoEngineError, container_engine, docker_engine, install, podman_engine
from sandbox.engine import Engine, connect

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.container,
    # The SDK leaves a socket that it could not connect to the garbage collector, which says so.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collect_here() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without engines: no address in the environment and an empty folder for programs."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local_engine, "_docker_sockets", list)
    return tmp_path


def mounts() -> set[str]:
    return {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}


def children() -> list[str]:
    return [process.name() for process in psutil.Process().children(recursive=True)]


@pytest.mark.parametrize("start", [podman_engine, docker_engine])
def test_an_engine_of_our_own_leaves_nothing(start: Callable[..., object], home: Path) -> None:
    before = (mounts(), children())
    with start(home) as engine:  # type: ignore[attr-defined]
        client, found = connect(engine.docker_host)
        client.close()
        assert found == engine
        assert engine.docker_host == f"unix://{home}/{engine.name}.sock"
    # Another Podman on the machine may have mounted its store meanwhile.
    assert {mount for mount in mounts() - before[0] if str(home) in mount} == set()
    assert children() == before[1]
    assert not list(home.glob("*.sock"))


def test_it_is_stopped_when_the_work_fails(home: Path) -> None:
    before = children()
    with pytest.raises(KeyError), podman_engine(home):
        raise KeyError
    assert children() == before


def test_a_second_start_in_the_same_folder(home: Path) -> None:
    with podman_engine(home) as first:
        pass
    (home / "podman.sock").touch()
    with podman_engine(home) as second:
        assert second == first


def test_an_address_in_the_environment_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with podman_engine(home) as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
        with container_engine(home / "unused") as found:
            assert found == engine
        assert not (home / "unused").exists()


def test_an_address_where_nobody_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/nobody.sock")
    with pytest.raises(NoEngineError, match="Correct or unset DOCKER_HOST"), container_engine(home):
        pass


def test_a_docker_that_answers_comes_before_podman(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with docker_engine(home / "docker") as docker:
        dead = home / "dead.sock"
        sockets = [dead, home / "docker" / "docker.sock"]
        monkeypatch.setattr(local_engine, "_docker_sockets", lambda: sockets)
        with container_engine(home / "podman") as found:
            assert found == docker


def test_podman_is_started_where_there_is_no_docker(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(local_engine, "_docker_sockets", list)
    with container_engine(home) as engine:
        assert isinstance(engine, Engine)
        assert engine.name == "podman"


def test_nothing_there_and_nothing_can_be_installed(bare: Path, home: Path) -> None:
    with (
        pytest.raises(NoEngineError, match="sudo apt-get install podman runc catatonit"),
        container_engine(home),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_root_installs_podman_and_says_so(bare: Path, home: Path) -> None:
    said: list[str] = []
    apt_get = bare / "apt-get"
    apt_get.write_text('#!/bin/sh\necho "$@" >> "$0.log"\n')
    apt_get.chmod(0o755)
    # This apt-get brings no Podman, so the search ends by saying what is missing.
    with pytest.raises(NoEngineError, match="not installed"), container_engine(home, said.append):
        pass
    assert said == ["Installing podman, runc, catatonit with apt-get …"]
    assert Path(f"{apt_get}.log").read_text().splitlines() == [
        "--quiet update",
        "--quiet install --yes --no-install-recommends podman runc catatonit",
    ]


def test_an_installation_that_fails(bare: Path) -> None:
    apt_get = bare / "apt-get"
    apt_get.write_text("#!/bin/sh\necho E: Unable to locate package podman >&2\nexit 100\n")
    apt_get.chmod(0o755)
    with pytest.raises(NoEngineError, match="Unable to locate package podman"):
        install(["podman"], print)


def test_podman_without_what_its_containers_begin_with_is_told(
    bare: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "INIT", ())
    for program in ("podman", "runc"):
        (bare / program).write_text("#!/bin/sh\n")
        (bare / program).chmod(0o755)
    wanted = "Catatonit not installed: sudo apt-get install podman runc catatonit"
    with pytest.raises(NoEngineError, match=wanted), podman_engine(home):
        pass


def test_a_service_that_does_not_start(bare: Path, home: Path) -> None:
    setpriv = bare / "setpriv"
    setpriv.write_text("#!/bin/sh\necho cannot open the store\nexit 1\n")
    for program in ("setpriv", "podman", "runc", "catatonit"):
        (bare / program).write_text(setpriv.read_text())
        (bare / program).chmod(0o755)
    with pytest.raises(NoEngineError, match="cannot open the store"), podman_engine(home):
        pass


def test_a_path_that_no_socket_can_have(home: Path) -> None:
    with pytest.raises(NoEngineError, match="shorter folder"), podman_engine(home / ("x" * 100)):
        pass


def test_the_engine_dies_with_its_owner(home: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from local.engine import podman_engine\n"
        "with podman_engine(Path(sys.argv[1])): print('ready', flush=True); os.kill(os.getpid(), 9)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    owner.wait(10)
    owner.stdout.close()
    services = [
        p
        for p in psutil.process_iter(["cmdline"])
        if f"unix://{home}/podman.sock" in (p.info["cmdline"] or [])
    ]
    assert psutil.wait_procs(services, timeout=20)[1] == []
