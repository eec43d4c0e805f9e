"""Wheels for detector images, fetched on this machine so that their builds need no network."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

# The base images: Python 3.11 on Debian 12, whose glibc is 2.36; contract 1 is for linux/amd64.
PYTHON = "3.11"
GLIBC_MINOR = 36
PLATFORMS = (
    "linux_x86_64",
    "manylinux2014_x86_64",
    *(f"manylinux_2_{m}_x86_64" for m in range(5, GLIBC_MINOR + 1)),
)


def ensure_wheels(folder: Path, requirements: Sequence[str], say: Callable[[str], None]) -> Path:
    """A folder below ``folder`` with the wheels of ``requirements`` and all that they need.

    ``requirements`` are lines of requirements files without options. Called again with the same
    lines it returns at once. Raises ``RuntimeError`` with pip's last lines when a wheel can't be had.
    """
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
    wheels = folder / digest
    if wheels.is_dir():
        return wheels
    say(f"Downloading the wheels of {', '.join(line.split('==')[0] for line in requirements)} …")
    folder.mkdir(parents=True, exist_ok=True)
    # Filled under another name, so that a folder with the right name is complete.
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder))
    try:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(unfinished)]
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        command += [f"--platform={platform}" for platform in PLATFORMS]
        done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = "\n".join(done.stderr.splitlines()[-5:])
            raise RuntimeError(
                f"pip can't download what the image needs; is a package index reachable?\n{lines}"
            )
        try:
            unfinished.rename(wheels)
        except OSError:
            # Another process was faster, and the same lines give the same wheels.
            if not wheels.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return wheels
