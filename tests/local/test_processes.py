import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import Lock, end, private_folder, spawn, tail, tied

pytestmark = pytest.mark.processes


def test_without_root_a_program_still_reaches_what_only_root_may_enter(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    program = folder / "program"
    program.touch(mode=0o700)
    code = "import os, sys; print(os.access(sys.argv[1], os.X_OK), os.getuid())"
    command = tied([sys.executable, "-c", code, program], drop_root=True)
    reachable, user = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert reachable == "True"
    assert int(user) != 0
    assert (int(user) == os.getuid()) == (os.getuid() != 0)


def test_the_process_leads_a_session_of_its_own_and_its_log_grows(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "some.log"
    for text in ("first", "second"):
        process = spawn(["sh", "-c", f"echo {text}; sleep 600"], log)
        assert os.getsid(process.pid) == process.pid
        while text not in tail(log):
            pass
        end(process, 5, signal.SIGKILL)
    assert tail(log, lines=2) == "first\nsecond"
    assert tail(log, lines=1) == "second"
    assert "missing" in tail(tmp_path / "none.log")


def test_a_lock_has_one_holder_and_names_it(tmp_path: Path) -> None:
    lock, other = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert lock.holder() is None
    with lock:
        assert lock.acquire()
        assert not other.acquire()
        assert other.holder() == os.getpid()
    assert other.acquire()
    other.release()


def test_a_private_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    somebody_elses = Path("/")
    if os.getuid() == 0:
        somebody_elses = tmp_path / "theirs"
        somebody_elses.mkdir()
        os.chown(somebody_elses, 65534, -1)
    with pytest.raises(RuntimeError, match="belongs to another user"):
        private_folder(somebody_elses)
