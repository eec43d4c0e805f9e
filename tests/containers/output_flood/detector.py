"""Writes more output than is granted."""

import contextlib
from pathlib import Path

chunk = bytes(1 << 16)
for number in range(1000):
    with contextlib.suppress(OSError), Path(f"/bench/output/{number % 50}").open("ab") as file:
        for _ in range(64):
            file.write(chunk)
