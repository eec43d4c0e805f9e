"""What a container says on its output: counted, searched for progress, and mostly forgotten."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

from docker.utils.socket import frames_iter

# Kept of a container's output: enough for a stack trace, little to hold in a database row.
TAIL_BYTES = 16 * 1024
# A longer line is no progress report.
LINE_BYTES = 4096
# While evaluation images are in sight, progress is shown in steps of a tenth, and looked at this often.
PACE_S = 10.0

# Everything below the space but newline and tab; PostgreSQL refuses NUL, terminals obey the rest.
_CONTROLS = dict.fromkeys(c for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\n\t")


def parse_progress(line: bytes) -> float | None:
    """The fraction done, clamped to [0, 1], of a line like ``{"progress": 0.42, …}``, else None."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return None
    progress = report.get("progress") if isinstance(report, dict) else None
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    try:
        fraction = float(progress)
    except OverflowError:
        return None
    return min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else None


class CoarseProgress:
    """Progress as a submitter may see it while the container sees evaluation images.

    What a container says of its progress is of its own choice, and so is when. So only whole tenths
    count, they never go back, and they change at multiples of ``PACE_S`` seconds after the start alone.
    ``docs/decisions/0009`` tells what can still be told that way.
    """

    def __init__(self) -> None:
        self._shown = 0.0
        self._next_s = PACE_S

    def at(self, elapsed_s: float, reported: float | None) -> float | None:
        """What to show ``elapsed_s`` after the start; ``None`` until there is something."""
        if elapsed_s >= self._next_s:
            self._next_s = (elapsed_s // PACE_S + 1) * PACE_S
            self._shown = max(self._shown, int((reported or 0.0) * 10) / 10)
        return self._shown or None


class Log:
    """The bounded reading of one container's output.

    ``feed`` takes bytes as they come; memory stays below ``TAIL_BYTES + LINE_BYTES`` and a chunk.
    With ``kept_bytes``, as many of the beginning and of the end are kept as ``text``.
    """

    def __init__(self, max_bytes: int, kept_bytes: int = 0) -> None:
        self.max_bytes = max_bytes
        self._kept_bytes = kept_bytes
        self._head = bytearray()
        self.size_bytes = 0
        self._progress: float | None = None
        self._tail = bytearray()
        self._line = bytearray()
        self._line_is_long = False

    @property
    def flooded(self) -> bool:
        return self.size_bytes > self.max_bytes

    @property
    def progress(self) -> float | None:
        """The last fraction that the container reported."""
        return self._progress

    @property
    def tail(self) -> str:
        """The last ``TAIL_BYTES`` as text without control characters."""
        return _readable(self._tail[-TAIL_BYTES:])

    @property
    def text(self) -> str:
        """What was kept, without control characters, and a note of what was left out in the middle."""
        if not self._kept_bytes:
            return ""
        end = self._tail[-self._kept_bytes :]
        left_out = self.size_bytes - len(self._head) - len(end)
        if left_out <= 0:
            return _readable(self._head + end[-left_out:])
        note = f"\n[… {left_out} bytes of the output are left out here …]\n"
        return _readable(self._head) + note + _readable(end)

    def feed(self, chunk: bytes) -> None:
        if self.flooded:
            return
        self.size_bytes += len(chunk)
        self._keep(chunk)
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._extend_line(line)
            self._end_line()
        self._extend_line(rest)

    def _keep(self, chunk: bytes) -> None:
        self._head += chunk[: self._kept_bytes - len(self._head)]
        self._tail += chunk
        del self._tail[: -max(TAIL_BYTES, self._kept_bytes)]

    def _extend_line(self, part: bytes) -> None:
        self._line_is_long |= len(self._line) + len(part) > LINE_BYTES
        if not self._line_is_long:
            self._line += part

    def _end_line(self) -> None:
        if not self._line_is_long:
            fraction = parse_progress(bytes(self._line))
            self._progress = self._progress if fraction is None else fraction
        self._line.clear()
        self._line_is_long = False


def _readable(raw: bytes | bytearray) -> str:
    return bytes(raw).decode(errors="replace").translate(_CONTROLS)


class LogReader(threading.Thread):
    """Feeds what an engine sends over ``socket`` to a ``Log`` until its end, which ``ended`` tells.

    A flood is read to its end too: Podman does not notice a death while its output is stuck.
    """

    def __init__(self, socket: Any, max_bytes: int, kept_bytes: int = 0) -> None:
        super().__init__(name="container-log", daemon=True)
        self.log = Log(max_bytes, kept_bytes)
        self.ended = threading.Event()
        self._socket = socket

    def run(self) -> None:
        try:
            for _, chunk in frames_iter(self._socket, tty=False):
                self.log.feed(chunk)
        except (OSError, ValueError):
            # The engine closed the stream; the runner asks it for the container's state.
            pass
        finally:
            # The SDK keeps the response alive at the socket, and only that closes the connection.
            self._socket._response.close()
            self.ended.set()
