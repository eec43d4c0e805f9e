"""Tries every folder and some files that matter."""

import os
import sys
from pathlib import Path

ALLOWED = ("/bench/output", "/tmp", "/dev/shm", "/dev/mqueue", "/proc")


def folders(path):
    yield path
    for child in path.iterdir():
        if (
            child.is_dir()
            and not child.is_symlink()
            and str(child) not in ALLOWED
            and os.access(child, os.R_OK)
        ):
            yield from folders(child)


written = 0
for folder in folders(Path("/")):
    try:
        (folder / "mark").write_text("was here")
        written += 1
    except OSError:
        continue
for file in (
    "/bench/request.json",
    "/bench/eval/detector.py",
    "/etc/passwd",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
):
    try:
        with Path(file).open("r+"):
            written += 1
    except OSError:
        continue
sys.exit(0 if written else "wrote nothing")
