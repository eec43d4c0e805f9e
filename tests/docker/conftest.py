"""The kit is installed in detector images and not here, so its folder is put on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import datasets

from tests.engines import engine, engines, podman

sys.path.insert(0, str(Path(__file__).parents[2] / "docker" / "kit"))
datasets.disable_progress_bars()

__all__ = ["engine", "engines", "podman"]
