"""SHA-256 of uploads while they come in, so that no byte has to be read again for its hash.

The state of a hash can't be stored: it lives in the process, and the pieces of an upload may go to
several. A process that meets an upload further on than it knows it reads what it missed from the
file, which is mostly still in memory. So each process hashes each byte at most once, whether it was
sent to it or caught up with: the work is linear in the length however small the pieces are. Only an
upload that was pushed out by ``KEPT`` others in between, or by a restart, is read from its start.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

# A state takes some 200 bytes; more uploads than this do not come in at the same time.
KEPT = 256
READ_BYTES = 1 << 20


class RunningHashes:
    """The states of the uploads that this process saw last. Safe for several threads.

    A state is copied for a request and kept after it, so a request that fails changes nothing.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._states: OrderedDict[uuid.UUID, tuple[int, _Hash]] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, upload_id: uuid.UUID, offset: int, fd: int) -> _Hash:
        """The hash of the first ``offset`` bytes of the upload's file, to go on with."""
        with self._lock:
            known, state = self._states.get(upload_id, (0, hashlib.sha256()))
        if known > offset:
            known, state = 0, hashlib.sha256()
        state = state.copy()
        while known < offset:
            data = os.pread(fd, min(READ_BYTES, offset - known), known)
            if not data:
                raise EOFError(f"Upload {upload_id} has {known} bytes and not {offset}.")
            state.update(data)
            known += len(data)
        return state

    def keep(self, upload_id: uuid.UUID, offset: int, state: _Hash) -> None:
        """Remember the hash of the first ``offset`` bytes."""
        with self._lock:
            self._states[upload_id] = offset, state.copy()
            self._states.move_to_end(upload_id)
            while len(self._states) > self._kept:
                self._states.popitem(last=False)

    def forget(self, upload_id: uuid.UUID) -> None:
        with self._lock:
            self._states.pop(upload_id, None)


hashes = RunningHashes()
