import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local.processes import free_port
from local.stack import ROOT, environment
from tests.local.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.container]

SET_BY_THE_TESTS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "IMAGE_ID_KEY")


def serve(home: Path, port: int) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name not in SET_BY_THE_TESTS}
    env |= {"TIDEMARK_HOME": str(home), "PORT": str(port)}
    command = [sys.executable, "-m", "local.serve"]
    return subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def serving(process: subprocess.Popen[str]) -> str:
    """The address that it announces."""
    for line in process.stdout:
        if found := re.search(r"serves (http://\S+);", line):
            return found[1]
    raise AssertionError(process.stderr.read())


def processes_of(home: Path) -> dict[int, str]:
    """Every process that was started for ``home``, at any depth; some write over their environment."""
    found = {}
    for process in psutil.process_iter():
        try:
            environment_names_it = process.environ().get("TIDEMARK_HOME") == str(home)
            if environment_names_it or Path(process.cwd()).is_relative_to(home):
                found[process.pid] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with serve(tmp_path, free_port()) as process:
        yield process
        process.kill()


def test_serve_brings_everything_up_once_and_takes_it_down_on_a_signal(
    served: subprocess.Popen[str], tmp_path: Path
) -> None:
    url = serving(served)
    assert httpx.get(f"{url}/api/docs/").status_code == 200
    for part in ("postgres -D", "redis-server", "system service", "gunicorn", "celery", "manage.py sweep"):
        assert any(part in command for command in processes_of(tmp_path).values()), part
    eventually(lambda: " ready." in (tmp_path / "logs" / "worker1.log").read_text())
    assert httpx.get(f"{url}/health/ready").json()["status"] == "ok"
    # The worker and the checker say that they are there, and whichever web process answers knows.
    alive = 'tidemark_workers{state="alive"} 2.0'
    eventually(lambda: alive in httpx.get(f"{url}/metrics").text)
    assert all(alive in httpx.get(f"{url}/metrics").text for _ in range(12))
    assert httpx.get(f"{url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403

    with serve(tmp_path, free_port()) as second:
        assert second.wait() == 1
        assert f"Process {served.pid} already serves {tmp_path}" in second.stderr.read()

    served.send_signal(signal.SIGTERM)
    assert served.wait(60) == 0
    assert processes_of(tmp_path) == {}
    assert "Traceback" not in served.stderr.read()


def test_nothing_outlives_a_serve_that_is_killed(served: subprocess.Popen[str], tmp_path: Path) -> None:
    serving(served)
    served.kill()
    eventually(lambda: processes_of(tmp_path) == {}, within_s=60)


def test_a_port_in_use_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with serve(tmp_path, port) as refused:
            assert refused.wait(60) == 1
            assert f"Port {port} can't be used" in refused.stderr.read()


def test_keys_are_made_once_and_kept_to_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    with environment(tmp_path) as first, environment(tmp_path) as second:
        assert first["SECRET_KEY"] == second["SECRET_KEY"] != first["IMAGE_ID_KEY"]
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("secret_key", "image_id_key")} == {0o600}


def test_given_servers_are_used_and_none_is_started(tmp_path: Path) -> None:
    with environment(tmp_path) as env:
        assert env["DATABASE_URL"] == os.environ["DATABASE_URL"]
        assert env["REDIS_URL"] == os.environ["REDIS_URL"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image_id_key", "secret_key"]
