"""Whose fault it is that a container ended as it did: a pure function."""

from __future__ import annotations

import re
import signal

from protocols.contract import Budget
from protocols.errors import CATALOGUE, Owner, ParticipantError, PlatformError
from protocols.exceptions import OUT_OF_MEMORY, exception_name
from sandbox.runner import Ended

# A shell and an init report a program that they can't run by these exit codes.
NOT_EXECUTABLE, NOT_FOUND = 126, 127
_KILLED = 128 + signal.SIGKILL
# Podman's init exits with 1 when it can't run the program, like many a program itself.
_INIT_FAILED = re.compile(r"ERROR \(catatonit:\d+\): failed to exec pid1: ")
_FILE_TOO_LARGE = 128 + signal.SIGXFSZ

# The engine's words when the image is what can't be started, from runc and crun.
_IMAGE_FAULT = re.compile(
    r"executable file|exec: |exec format error|chdir to cwd|not a directory|is a directory", re.IGNORECASE
)


def outcome(ended: Ended, budget: Budget, *, sealed: bool = False) -> ParticipantError | PlatformError | None:
    """None when the container did its work, else the error to record.

    ``sealed``: it saw evaluation images, and its submitter reads the error. Then nothing of the error is
    of the container's choice but the code and, of a fixed list, the class of an exception.

    A container that the caller stopped has no outcome: read ``ended.stopped`` first (``ValueError``
    otherwise).
    """
    if ended.stopped is not None:
        raise ValueError(f"the caller stopped the container: {ended.stopped}")
    if ended.start_error is not None:
        return _start_error(ended.start_error)
    if ended.fault is not None:
        return _broken_bound(ended.fault, budget)
    if ended.exit_code == 0:
        return None
    error = _exit_error(ended, budget)
    return _sealed_exit(error, exception_name(ended.log_tail)) if sealed else error


def seal(error: ParticipantError) -> ParticipantError:
    """The same error without what it quotes: the rows, names and numbers of what a container left."""
    return ParticipantError(error.code)


def _sealed_exit(error: ParticipantError, exception: str | None) -> ParticipantError:
    if error.code == "container_exit":
        by = exception or "an exception that has no name here, or none"
        return ParticipantError("container_exit", f"It ended by {by}.")
    return seal(error)


def _start_error(text: str) -> ParticipantError | PlatformError:
    if _IMAGE_FAULT.search(text):
        return ParticipantError("container_start", f"The entry point could not be started: {text}")
    return PlatformError("engine_error", f"The engine could not start the container: {text}")


def _broken_bound(code: str, budget: Budget) -> ParticipantError | PlatformError:
    entry = CATALOGUE[code]
    bounds = {
        "container_timeout": f"The limit is {budget.timeout_s:g} s.",
        "log_flood": f"The limit is {budget.log_bytes} bytes.",
        "output_too_large": f"The limit is {budget.output_bytes} bytes.",
        "state_too_large": f"The limit is {budget.state_bytes} bytes.",
    }
    detail = " ".join(filter(None, (entry.what, bounds.get(code))))
    return (ParticipantError if entry.owner is Owner.PARTICIPANT else PlatformError)(code, detail)


def _exit_error(ended: Ended, budget: Budget) -> ParticipantError:
    code = ended.exit_code
    memory = f"The limit is {budget.memory_bytes} bytes."
    if ended.oom_killed:
        return ParticipantError("container_oom", f"The kernel killed it for its use of memory. {memory}")
    if code == _KILLED:
        # Podman on cgroup v1 does not say why a container was killed, and Docker may say so too late.
        return ParticipantError(
            "container_oom",
            "It was killed by SIGKILL, though not by the server: "
            f"almost always this is the limit on memory. {memory}",
        )
    if code == _FILE_TOO_LARGE:
        return ParticipantError("container_exit", "It was stopped for writing a file larger than any limit.")
    if code in (NOT_EXECUTABLE, NOT_FOUND) or _INIT_FAILED.match(ended.log_tail):
        return ParticipantError("container_start", f"The entry point could not be run (exit code {code}).")
    exception = exception_name(ended.log_tail)
    if exception in OUT_OF_MEMORY:
        where = "The GPU has no more memory." if exception.startswith("torch.") else memory
        return ParticipantError("container_oom", f"It ended with exit code {code}, by {exception}. {where}")
    by = f", by {exception}" if exception else ""
    return ParticipantError("container_exit", f"It ended with exit code {code}{_signal_name(code)}{by}.")


def _signal_name(code: int | None) -> str:
    """What a shell's exit code beyond 128 stands for."""
    try:
        return f" ({signal.Signals((code or 0) - 128).name})"
    except ValueError:
        return ""
