"""Leaves a link to a file of the host."""

from pathlib import Path

Path("/bench/state/weights").symlink_to("/etc/passwd")
