"""An image of the local engine as the archive that is uploaded, by the engine's own command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tidemark.batches import UsageError

ENGINES = ("docker", "podman")


def archive_of(image: str) -> Path:
    """The archive of an image that Docker or Podman has here, written once.

    It stays until it is handed in (``forget``), so an upload that is cut off goes on with the same
    bytes. Raises ``UsageError`` where no engine has such an image.
    """
    engine, image_id = _find(image)
    folder = _folder()
    archive = folder / f"{image_id}.tar"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = folder / f"{image_id}.{os.getpid()}.part"
        form = ["--format=docker-archive"] if engine == "podman" else []
        try:
            done = _run(engine, "save", *form, f"--output={part}", image)
            if done.returncode:
                raise UsageError(f"{engine} can't save {image}: {done.stderr.strip()[-500:]}")
            part.replace(archive)
        finally:
            part.unlink(missing_ok=True)
    return archive


def forget(archive: Path) -> None:
    """Free an archive that was made here; any other is somebody's own."""
    if archive.parent == _folder():
        archive.unlink(missing_ok=True)


def _find(image: str) -> tuple[str, str]:
    """The engine that has ``image``, and the image's id."""
    there = [engine for engine in ENGINES if shutil.which(engine)]
    for engine in there:
        done = _run(engine, "image", "inspect", "--format={{.Id}}", "--", image)
        if done.returncode == 0 and done.stdout.strip():
            return engine, done.stdout.strip().splitlines()[0].removeprefix("sha256:")
    looked = f" and no image in {' or '.join(there)}" if there else ", and neither Docker nor Podman is here"
    raise UsageError(f"There is no file {image!r}{looked} of that name.")


def _run(engine: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a list, and never through a shell
        [engine, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _folder() -> Path:
    """Where what can be made again is kept (the XDG base directory specification)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tidemark" / "images"
