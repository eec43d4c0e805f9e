"""Leaves more state than is granted."""

import time
from pathlib import Path

for number in range(5):
    Path(f"/bench/state/{number}").write_bytes(bytes(1 << 20))
time.sleep(60)
