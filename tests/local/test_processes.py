import os
import signal
import subprocess
from pathlib import Path

import pytest

from local.processes import Lock, end, private_folder, spawn, tail, tied

pytestmark = pytest.mark.processes


def test_without_root_a_program_still_reaches_what_only_root_may_enter(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    program = folder / "program"
    program.write_text("#!/bin/sh\ntest -x $0 && id -u\n")
    program.chmod(0o700)
    done = subprocess.run(tied([program], drop_root=True), capture_output=True, text=True, check=True)
    assert int(done.stdout) != 0
    assert (int(done.stdout) == os.getuid()) == (os.getuid() != 0)


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
