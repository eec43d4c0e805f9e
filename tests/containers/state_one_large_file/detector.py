"""Writes one file up to the limit on files."""

from pathlib import Path

Path("/bench/state/weights").write_bytes(bytes(64 << 20))
