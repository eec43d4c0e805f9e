import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from local.redis import Redis

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path) -> Redis:
    with Redis(tmp_path) as server:
        yield server


def test_flush_and_restart_lose_the_content_and_keep_the_url(server: Redis) -> None:
    url = server.url
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        server.flush()
        assert client.get("key") is None
        client.set("key", "value")
        server.restart()
        assert server.url == url
        assert client.get("key") is None


def test_only_the_loopback_and_only_with_the_password(server: Redis) -> None:
    process = psutil.Process(server.process.pid)
    assert {c.laddr.ip for c in process.net_connections(kind="inet")} == {"127.0.0.1"}
    address = urlsplit(server.url)
    assert address.password not in " ".join(process.cmdline())
    with (
        redis.Redis(port=address.port, retry=None) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_a_second_object_attaches_and_leaves_the_server_running(server: Redis) -> None:
    with Redis(server.folder) as attached:
        assert attached.process is None
        assert attached.url == server.url
    server.flush()


def test_the_server_ends_with_a_killed_owner_and_starts_again(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from local.redis import Redis\n"
        "s = Redis(Path(sys.argv[1])); s.start(); print(s.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        orphan = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    orphan.wait(10)
    with Redis(tmp_path) as server:
        server.flush()


def test_a_port_that_is_taken_on_restart_is_told(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.redis.START_S", 0.5)
    server.stop()
    with Redis(server.folder / "other") as other:
        server.url = other.url.replace("redis://:", "redis://:x")
        with pytest.raises(RuntimeError, match=r"(?s)Address already in use.*REDIS_URL"):
            server.start()
