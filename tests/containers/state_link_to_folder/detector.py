"""Leaves a link by which a walk would leave the state."""

from pathlib import Path

Path("/bench/state/root").symlink_to("/")
