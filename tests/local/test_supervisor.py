import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.supervisor import Service, Supervisor
from tests.local.waiting import eventually

pytestmark = pytest.mark.processes


def running(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path, said.append, first_pause_s=0.3) as supervisor:
        yield supervisor


def shell(name: str, script: str, grace_s: float = 10) -> Service:
    return Service(name, ["sh", "-c", script], os.environ, grace_s)


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_a_crashed_service_starts_again_after_ever_longer_pauses(
    supervisor: Supervisor, said: list[str]
) -> None:
    supervisor.start(shell("fragile", "date +%s.%N; exit 3"))
    eventually(lambda: len(lines(supervisor.log("fragile"))) >= 4)
    times = [float(line) for line in lines(supervisor.log("fragile"))]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert said[0].startswith("fragile ended with code 3")
    assert str(supervisor.log("fragile")) in said[0]


def test_what_a_crashed_service_leaves_behind_is_killed_before_it_starts_again(
    supervisor: Supervisor,
) -> None:
    supervisor.start(shell("parent", "sleep 600 & echo $!; exit 1"))
    eventually(lambda: len(lines(supervisor.log("parent"))) >= 2)
    assert not running(int(lines(supervisor.log("parent"))[0]))


def test_stop_ends_the_polite_the_stubborn_and_their_children(tmp_path: Path) -> None:
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(shell("polite", "trap 'echo bye; exit 0' TERM; echo $$; sleep 600 & wait"))
        supervisor.start(shell("stubborn", "trap '' TERM; sleep 600 & echo $!; echo $$; wait", grace_s=0.5))
        eventually(lambda: len(lines(tmp_path / "polite.log")) == 1)
        eventually(lambda: len(lines(tmp_path / "stubborn.log")) == 2)
    polite, stubborn = lines(tmp_path / "polite.log"), lines(tmp_path / "stubborn.log")
    assert polite[1:] == ["bye"]
    assert [pid for pid in [polite[0], *stubborn] if running(int(pid))] == []


def test_services_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from local.supervisor import Service, Supervisor\n"
        "s = Supervisor(Path(sys.argv[1]), print).__enter__()\n"
        "s.start(Service('child', ['sh', '-c', 'echo $$; exec sleep 600'], os.environ)); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    eventually(lambda: lines(tmp_path / "child.log") != [])
    child = int(lines(tmp_path / "child.log")[0])
    assert running(child)
    owner.kill()
    owner.wait()
    eventually(lambda: not running(child))
