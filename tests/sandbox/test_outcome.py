"""Outcomes of containers, from what real engines answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.errors import CATALOGUE, Owner, ParticipantError, PlatformError
from sandbox.outcome import outcome, seal
from sandbox.runner import Ended
from tests.sandbox.stage import BUDGET

SUCCESS = Ended(
    exit_code=0,
    oom_killed=False,
    fault=None,
    stopped=None,
    start_error=None,
    log_tail="",
    log_bytes=0,
    duration_s=1.0,
)

TRACE = 'Traceback (most recent call last):\n  File "detect.py", line 1, in <module>\n    raise x\n'

# The words of Docker 20.10 and Podman 4.3, both with runc 1.1.
IMAGE_FAULTS = [
    "Cannot mkdir: /file is not a directory",
    'preparing container 4e4aece12b30 for attach: workdir "/file" exists on container 4e4aece12b30, '
    "but is not a directory",
    "preparing container 7666068078b8 for attach: runc: runc create failed: unable to start container "
    'process: error during container init: error mounting "/work/step/output" to rootfs at "/bench/output": '
    "open o_path procfd: open /merged/bench/output: not a directory: OCI runtime error",
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
    'process: exec: "/no/such/program": stat /no/such/program: no such file or directory: unknown',
    'OCI runtime create failed: exec: "detect": executable file not found in $PATH: unknown',
]
ENGINE_FAULTS = [
    "failed to create shim task: OCI runtime create failed: unable to apply cgroup configuration: "
    "mkdir /sys/fs/cgroup/memory/docker: no space left on device: unknown",
    "runc: runc create failed: unable to start container process: error setting rlimits for process: "
    "error setting rlimit type 7: operation not permitted: OCI permission denied",
    'the container name "tidemark-x-1-1" is already in use',
]


def test_success() -> None:
    assert outcome(SUCCESS, BUDGET) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"exit_code": 1}, "container_exit"),
        ({"exit_code": 255}, "container_exit"),
        # SIGSEGV and SIGXFSZ of the detector itself.
        ({"exit_code": 139}, "container_exit"),
        ({"exit_code": 153}, "container_exit"),
        ({"exit_code": 126}, "container_start"),
        ({"exit_code": 127}, "container_start"),
        # Docker: tini exits with 127; Podman: catatonit with 1 and these words.
        (
            {
                "exit_code": 1,
                "log_tail": "ERROR (catatonit:6): failed to exec pid1: No such file or directory\n",
            },
            "container_start",
        ),
        ({"exit_code": 1, "log_tail": "ERROR (catatonit:6): failed\n"}, "container_exit"),
        # Docker tells, Podman 4.3 on cgroup v1 leaves the exit code to tell.
        ({"exit_code": 137, "oom_killed": True}, "container_oom"),
        ({"exit_code": 137}, "container_oom"),
        # It was told that there is no more, by Python, numpy or the GPU.
        ({"exit_code": 1, "log_tail": TRACE + "MemoryError\n"}, "container_oom"),
        ({"exit_code": 1, "log_tail": TRACE + "torch.OutOfMemoryError: CUDA"}, "container_oom"),
        # A data loader was killed, and the detector gave up.
        ({"exit_code": 1, "oom_killed": True}, "container_oom"),
        # The runner's own kill is no shortage of memory.
        ({"exit_code": 137, "fault": "container_timeout"}, "container_timeout"),
        ({"exit_code": 143, "fault": "container_timeout"}, "container_timeout"),
        ({"exit_code": 137, "fault": "log_flood"}, "log_flood"),
        ({"exit_code": 0, "fault": "log_flood"}, "log_flood"),
        ({"exit_code": 137, "fault": "output_too_large"}, "output_too_large"),
        ({"exit_code": 0, "fault": "state_too_large"}, "state_too_large"),
        ({"exit_code": 137, "fault": "state_irregular"}, "state_irregular"),
        ({"exit_code": 137, "fault": "storage_full"}, "storage_full"),
        *(({"exit_code": None, "start_error": text}, "container_start") for text in IMAGE_FAULTS),
        *(({"exit_code": None, "start_error": text}, "engine_error") for text in ENGINE_FAULTS),
    ],
)
def test_every_end_has_its_code_and_owner(change: dict[str, object], code: str) -> None:
    error = outcome(replace(SUCCESS, **change), BUDGET)  # type: ignore[arg-type]
    assert error is not None
    assert error.code == code
    owner = {ParticipantError: Owner.PARTICIPANT, PlatformError: Owner.PLATFORM}[type(error)]
    assert owner is CATALOGUE[code].owner


def test_a_worker_that_was_killed_and_forgiven_is_a_success() -> None:
    assert outcome(replace(SUCCESS, oom_killed=True), BUDGET) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fault": "container_timeout"}, "30 s"),
        ({"fault": "log_flood"}, "262144 bytes"),
        ({"fault": "output_too_large"}, "2097152 bytes"),
        ({"fault": "state_too_large"}, "4194304 bytes"),
        ({"exit_code": 137, "oom_killed": True}, "134217728 bytes"),
        ({"exit_code": 137}, "almost always this is the limit on memory"),
        ({"exit_code": 3}, "exit code 3."),
        ({"exit_code": 139}, "exit code 139 (SIGSEGV)."),
        ({"exit_code": 1, "log_tail": TRACE + "ValueError: 7 images\n"}, "exit code 1, by ValueError."),
        ({"exit_code": 1, "log_tail": TRACE + "__main__.Mine: 7 images\n"}, "exit code 1."),
        ({"exit_code": 1, "log_tail": TRACE + "torch.OutOfMemoryError: 2 GiB\n"}, "The GPU has no more"),
        ({"exit_code": 1, "log_tail": TRACE + "MemoryError\n"}, "134217728 bytes"),
    ],
)
def test_the_message_names_the_bound(change: dict[str, object], words: str) -> None:
    error = outcome(replace(SUCCESS, **change), BUDGET)  # type: ignore[arg-type]
    assert error is not None
    assert words in error.detail


def test_what_the_caller_stopped_has_no_outcome() -> None:
    with pytest.raises(ValueError, match="cancelled"):
        outcome(replace(SUCCESS, exit_code=143, stopped="cancelled"), BUDGET)


def sealed(**change: object) -> str:
    error = outcome(replace(SUCCESS, **change), BUDGET, sealed=True)  # type: ignore[arg-type]
    assert error is not None
    return str(error)


def test_a_sealed_error_is_the_same_whatever_the_container_chose() -> None:
    trace = {"log_tail": TRACE + "ValueError: secret\n"}
    assert {sealed(exit_code=code, **trace) for code in (1, 2, 77, 139, 153, 255)} == {
        "container_exit: It ended by ValueError."
    }
    unnamed = {
        sealed(exit_code=code, log_tail=tail)
        for code in (1, 7)
        for tail in ("", "secret", TRACE, TRACE + "__main__.Secret: x", TRACE + "Secret", TRACE + "x" * 9000)
    }
    assert unnamed == {"container_exit: It ended by an exception that has no name here, or none."}
    out_of_memory = {
        sealed(exit_code=137),
        sealed(exit_code=137, oom_killed=True),
        sealed(exit_code=9, log_tail=TRACE + "MemoryError: 12345 bytes"),
        sealed(exit_code=9, log_tail=TRACE + "torch.OutOfMemoryError: 12345 bytes"),
    }
    assert out_of_memory == {f"container_oom: {CATALOGUE['container_oom'].what}"}
    assert sealed(exit_code=126) == sealed(exit_code=127)


def test_a_bound_that_was_broken_is_told_in_full() -> None:
    assert "30 s" in sealed(exit_code=137, fault="container_timeout")


def test_a_sealed_error_quotes_nothing() -> None:
    error = seal(ParticipantError("predictions_unknown", "Line 7 names 'secret'."))
    assert str(error) == f"predictions_unknown: {CATALOGUE['predictions_unknown'].what}"
