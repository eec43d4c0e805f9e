import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from local.postgres import Postgres

pytestmark = pytest.mark.processes


def put(server: Postgres, value: int) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def kept(server: Postgres) -> list[int]:
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that holds one row, and no server."""
    folder = tmp_path_factory.mktemp("postgres")
    with Postgres(folder, durable=False) as server:
        put(server, 1)
    return folder


def start_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Another Python process that owns the server of ``folder`` until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from local.postgres import Postgres\n"
        "Postgres(Path(sys.argv[1]), durable=False).start(); print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def ended(process: psutil.Process) -> bool:
    """Whether it has ended, waited for or not: nobody may wait for the children of a killed process."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_data_outlives_the_server(prepared: Path) -> None:
    with Postgres(prepared, durable=False) as server:
        assert 1 in kept(server)


def test_a_restart_breaks_connections_and_keeps_the_url_and_the_data(prepared: Path) -> None:
    with Postgres(prepared, durable=False) as server, psycopg.connect(server.url) as connection:
        url = server.url
        server.restart()
        assert server.url == url
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        assert 1 in kept(server)


def test_a_second_object_attaches_and_leaves_the_server_running(prepared: Path) -> None:
    with Postgres(prepared, durable=False) as server:
        with Postgres(prepared) as attached:
            assert attached.process is None
            assert 1 in kept(attached)
        assert 1 in kept(server)


def test_the_server_ends_with_a_killed_owner_and_starts_again(prepared: Path) -> None:
    owner = start_elsewhere(prepared)
    postmaster = psutil.Process(int((prepared / "data" / "postmaster.pid").read_text().split()[0]))
    kill(owner)
    with Postgres(prepared, durable=False) as server:
        assert ended(postmaster)
        assert 1 in kept(server)


def test_an_orphan_is_ended_first(prepared: Path) -> None:
    owner = start_elsewhere(prepared)
    postmaster = psutil.Process(int((prepared / "data" / "postmaster.pid").read_text().split()[0]))
    # A stopped process gets no further than the signal, so it is still there when the next owner comes.
    postmaster.suspend()
    kill(owner)
    assert not ended(postmaster)
    waker = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {postmaster.pid}"])
    with Postgres(prepared, durable=False) as server:
        assert ended(postmaster)
        assert 1 in kept(server)
    waker.wait()


def test_a_pid_file_whose_number_is_another_process_is_dropped(prepared: Path) -> None:
    # A process of the server's own user: such a number PostgreSQL by itself refuses.
    drop = ["setpriv", "--reuid", "nobody", "--clear-groups"] if os.geteuid() == 0 else []
    stranger = subprocess.Popen([*drop, "sleep", "600"])
    stale = prepared / "data" / "postmaster.pid"
    stale.write_text(
        f"{stranger.pid}\n{prepared / 'data'}\n{int(time.time())}\n5432\n{prepared}\n\n0 0\nready\n"
    )
    if os.geteuid() == 0:
        os.chown(stale, stale.parent.stat().st_uid, -1)
    try:
        with Postgres(prepared, durable=False) as server:
            assert 1 in kept(server)
        assert stranger.poll() is None
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()


def test_a_path_too_long_for_a_socket_and_full_of_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b,c'd\"e%f" / ("x" * 120)
    with Postgres(folder, durable=False) as server:
        put(server, 7)
        assert kept(server) == [7]
        assert server.socket_folder != folder
    assert not server.socket_folder.exists()


def test_nobody_else_gets_in(prepared: Path) -> None:
    with Postgres(prepared, durable=False) as server:
        listening = psutil.Process(server.process.pid).net_connections(kind="inet")
        assert listening == []
        assert server.socket_folder.stat().st_mode & 0o077 == 0


def test_a_cut_off_initialisation_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    with Postgres(tmp_path, durable=False) as server:
        put(server, 3)
        assert kept(server) == [3]


def test_a_server_that_does_not_come_up_says_why(prepared: Path) -> None:
    configuration = prepared / "data" / "postgresql.conf"
    before = configuration.read_text()
    configuration.write_text(before + "\nno_such_setting = 1\n")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)no_such_setting.*DATABASE_URL"):
            Postgres(prepared).start()
    finally:
        configuration.write_text(before)
