"""Writes more to /tmp than it has."""

import sys
from pathlib import Path

try:
    for number in range(1000):
        Path(f"/tmp/{number}").write_bytes(bytes(1 << 20))
except OSError as error:
    sys.exit(error.strerror)
