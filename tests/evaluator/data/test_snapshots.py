"""The state of a detector between two steps."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.data.snapshots import restore_state, save_state
from leaderboard.models.benchmarks import default_budgets
from leaderboard.store import Store
from protocols.contract import Budget
from protocols.errors import ParticipantError
from protocols.plan import EMPTY_STATE

BUDGET = Budget(**default_budgets()["train"])  # type: ignore[arg-type]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with folders, an executable, an empty file and the same content twice."""
    root = tmp_path / "state"
    (root / "a" / "b").mkdir(parents=True)
    (root / "empty folder").mkdir()
    (root / "model.pt").write_bytes(bytes(range(256)) * 5000)
    (root / "a" / "b" / "run.sh").write_text("#!/bin/sh\n")
    (root / "a" / "b" / "run.sh").chmod(0o711)
    (root / "a" / "copy.sh").write_text("#!/bin/sh\n")
    (root / "a" / "copy.sh").chmod(0o600)
    (root / "nothing").touch()
    return root


def content(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_state_comes_back_writable_or_not(state: Path, tmp_path: Path, objects: Store) -> None:
    state_hash, size_bytes = save_state(state, BUDGET, had_state=False)
    assert size_bytes == 256 * 5000 + 2 * len("#!/bin/sh\n")
    before = {path: path.read_bytes() for path in objects.root.rglob("*") if path.is_file()}
    assert restore_state(state_hash, tmp_path / "writable", writable=True) == 4
    assert content(tmp_path / "writable") == {
        "model.pt": (bytes(range(256)) * 5000, 0o644),
        "a/b/run.sh": (b"#!/bin/sh\n", 0o755),
        "a/copy.sh": (b"#!/bin/sh\n", 0o644),
        "nothing": (b"", 0o644),
    }
    for name in content(tmp_path / "writable"):
        (tmp_path / "writable" / name).write_bytes(b"overwritten")
    assert {path: path.read_bytes() for path in before} == before
    assert restore_state(state_hash, tmp_path / "fixed", writable=False) == 4
    assert content(tmp_path / "fixed") == {
        "model.pt": (bytes(range(256)) * 5000, 0o444),
        "a/b/run.sh": (b"#!/bin/sh\n", 0o755),
        "a/copy.sh": (b"#!/bin/sh\n", 0o444),
        "nothing": (b"", 0o444),
    }
    assert (tmp_path / "fixed" / "model.pt").stat().st_nlink == 2
    for folder in (tmp_path / "fixed", tmp_path / "fixed" / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_equal_states_have_equal_hashes(state: Path, tmp_path: Path) -> None:
    state_hash, _ = save_state(state, BUDGET, had_state=False)
    restore_state(state_hash, tmp_path / "again", writable=True)
    os.utime(tmp_path / "again" / "model.pt", (0, 0))
    assert save_state(tmp_path / "again", BUDGET, had_state=True)[0] == state_hash


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "nothing").write_bytes(b"1"),
        lambda root: (root / "nothing").rename(root / "something"),
        lambda root: (root / "nothing").unlink(),
        lambda root: (root / "nothing").chmod(0o755),
    ],
)
def test_any_change_changes_the_hash(state: Path, change: object) -> None:
    before, _ = save_state(state, BUDGET, had_state=False)
    change(state)  # type: ignore[operator]
    assert save_state(state, BUDGET, had_state=False)[0] != before


def test_the_empty_state(tmp_path: Path, objects: Store) -> None:
    assert restore_state(EMPTY_STATE, tmp_path / "state", writable=True) == 0
    assert list((tmp_path / "state").iterdir()) == []
    assert save_state(tmp_path / "state", BUDGET, had_state=False) == (EMPTY_STATE, 0)


def test_a_state_that_vanished_is_missing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(ParticipantError) as caught:
        save_state(tmp_path / "state", BUDGET, had_state=True)
    assert caught.value.code == "state_missing"


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "too large", "link to a folder"])
def test_a_hostile_state_is_refused_and_leaves_nothing(state: Path, objects: Store, kind: str) -> None:
    budget, code = BUDGET, "state_irregular"
    if kind == "link":
        (state / "x").symlink_to("/etc/passwd")
    elif kind == "hard link":
        os.link(state / "model.pt", state / "x")
    elif kind == "pipe":
        os.mkfifo(state / "x")
    elif kind == "link to a folder":
        (state / "x").symlink_to("/etc")
    else:
        budget, code = replace(BUDGET, state_bytes=10_000), "state_too_large"
    with pytest.raises(ParticipantError) as caught:
        save_state(state, budget, had_state=False)
    assert caught.value.code == code
    assert [path for path in objects.root.rglob("*") if path.is_file()] == []
