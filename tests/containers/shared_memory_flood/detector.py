"""Writes more shared memory than it has."""

import sys
from pathlib import Path

try:
    Path("/dev/shm/flood").write_bytes(bytes(64 << 20))
except OSError as error:
    sys.exit(error.strerror)
