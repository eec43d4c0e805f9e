"""What training leaves in ``/bench/state``, kept in the store between the steps of a run.

Kept are plain files with their paths and whether they are executable; empty folders, owners and
times are not, so equal states have equal hashes whoever made them and when.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from evaluator.data.staging import link
from leaderboard.store import Store, store
from protocols.contract import Budget
from protocols.plan import EMPTY_STATE
from sandbox.output import read_state
from sandbox.tree import FileEntry, copy_file

_EXECUTABLE = 0o111


def save_state(root: Path, budget: Budget, *, had_state: bool) -> tuple[str, int]:
    """Copy a state folder, which a hostile container may have filled, into the store.

    Returns the state's hash, which is the store key of its list of files, and its size in bytes.
    ``had_state`` tells that an earlier window had left files. Raises ``ParticipantError``:
    state_irregular, state_too_large or state_missing; ``PlatformError``: storage_full.
    """
    target = store()
    files = read_state(root, budget, had_state=had_state)
    with tempfile.TemporaryDirectory(dir=target.scratch_folder) as folder:
        entries = [
            {
                "path": file.path,
                "executable": bool(file.mode & _EXECUTABLE),
                "sha256": _keep(target, root, file, Path(folder) / "file"),
                "size_bytes": file.size_bytes,
            }
            for file in files
        ]
    return target.put_json(entries), sum(file.size_bytes for file in files)


def restore_state(state_hash: str, destination: Path, *, writable: bool) -> int:
    """Make ``destination`` a folder with the files of a state; returns how many there are.

    With ``writable`` they are copies; else they are links into the store, to be mounted read-only.
    """
    entries = [] if state_hash == EMPTY_STATE else store().read_json(state_hash)
    _make_folder(destination)
    for entry in entries:
        target = destination / entry["path"]
        for folder in reversed(target.relative_to(destination).parents[:-1]):
            _make_folder(destination / folder)
        # One object may be executable under one path and not under another, so only a copy can tell.
        if writable or entry["executable"]:
            shutil.copyfile(store().path(entry["sha256"]), target)
            target.chmod(0o755 if entry["executable"] else 0o644)
        else:
            link(entry["sha256"], target)
    return len(entries)


def _keep(target: Store, root: Path, file: FileEntry, copy: Path) -> str:
    copy_file(root, file, copy, "state")
    return target.adopt(copy)


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
