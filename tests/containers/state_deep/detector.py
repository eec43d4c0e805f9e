"""Nests folders until whoever walks them runs out of stack."""

import os
from pathlib import Path

os.chdir("/bench/state")
for _ in range(5_000):
    Path("deeper").mkdir()
    os.chdir("deeper")
