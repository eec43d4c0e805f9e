"""How much memory a container has taken, as the kernel counted it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# The peak since the start under cgroup v2 and v1; older kernels under v2 tell the present use alone.
_FILES = ("memory.peak", "memory.max_usage_in_bytes", "memory.current")


class PeakMemory:
    """The largest use seen, file cache included, as long as it was looked at.

    Engines don't tell it: Docker has forgotten it when a container ends, Podman reports the limit in
    its place. So the kernel is asked, which works where the engine runs on this very machine.
    """

    def __init__(self, container_id: str, pid: int) -> None:
        self.peak_bytes: int | None = None
        self._file = _file(container_id, pid)

    def look(self) -> None:
        """Read it now: it is gone with the container."""
        if self._file is not None:
            # It may have just ended.
            with suppress(OSError, ValueError):
                self.peak_bytes = max(self.peak_bytes or 0, int(self._file.read_text()))


def _file(container_id: str, pid: int) -> Path | None:
    """The kernel's counter of the container, or None where its process is another machine's."""
    if not container_id or pid <= 0:
        return None
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        # Podman puts the process one level below the group that carries the limits.
        before, found, rest = path.partition(container_id)
        if not found:
            continue
        group = _CGROUPS / controllers / (before + found + rest.partition("/")[0]).lstrip("/")
        counter = next((group / name for name in _FILES if (group / name).is_file()), None)
        if counter is not None:
            return counter
    return None
