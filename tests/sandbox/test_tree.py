"""Trees as hostile as a file system allows, some more than a container could make."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.errors import ParticipantError
from sandbox import tree
from sandbox.tree import FileEntry, IrregularError


def files(root: Path, *, max_bytes: int = 10**6, max_files: int = 100) -> list[FileEntry]:
    return tree.regular_files(root, "state", max_bytes=max_bytes, max_files=max_files)


def fault(root: Path, *, max_bytes: int = 10**6, max_files: int = 100) -> str | None:
    return tree.fault(root, "state", max_bytes=max_bytes, max_files=max_files)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "layers" / "deep").mkdir(parents=True)
    (folder / "layers" / "deep" / "weights").write_bytes(b"w" * 5000)
    (folder / "config.json").write_text("{}")
    (folder / "run.sh").write_text("")
    (folder / "run.sh").chmod(0o755)
    return folder


def test_plain_files_are_listed(root: Path) -> None:
    assert files(root) == [
        FileEntry("config.json", 2, 0o644),
        FileEntry("layers/deep/weights", 5000, 0o644),
        FileEntry("run.sh", 0, 0o755),
    ]
    assert fault(root) is None


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert files(tmp_path) == []


def symlink(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def dangling_symlink(path: Path) -> None:
    path.symlink_to("nowhere")


def folder_symlink(path: Path) -> None:
    path.symlink_to("/")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def whiteout(path: Path) -> None:
    os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(0, 0))


def terminal(path: Path) -> None:
    if os.geteuid() == 0:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(5, 0))
    else:
        whiteout(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def hard_link(path: Path) -> None:
    path.write_text("content")
    os.link(path, path.with_name(path.name + "-too"))


IRREGULAR = [symlink, dangling_symlink, folder_symlink, fifo, whiteout, terminal, unix_socket, hard_link]


@pytest.mark.parametrize("make", IRREGULAR)
@pytest.mark.parametrize("place", ["odd", "layers/odd"])
def test_anything_else_is_refused_without_touching_it(
    root: Path, make: Callable[[Path], None], place: str
) -> None:
    make(root / place)
    started = time.monotonic()
    with pytest.raises(ParticipantError, match=place) as refusal:
        files(root)
    assert refusal.value.code == "state_irregular"
    with pytest.raises(IrregularError):
        tree.open_regular(root, place)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", [b"\xff", b"line\nbreak", b"\x1b[31m", "\u202e".encode()])
def test_a_name_that_is_no_plain_text(root: Path, name: bytes) -> None:
    (root / os.fsdecode(name)).touch()
    with pytest.raises(ParticipantError) as refusal:
        files(root)
    assert refusal.value.code == "state_irregular"
    assert refusal.value.detail.isascii()
    assert fault(root) == "state_irregular"


def test_names_in_any_script(root: Path) -> None:
    (root / "größe 重み.bin").touch()
    assert "größe 重み.bin" in [file.path for file in files(root)]


def test_too_deep(root: Path) -> None:
    (root / "/".join(["d"] * (tree.MAX_DEPTH - 1))).mkdir(parents=True)
    assert len(files(root)) == 3
    (root / "/".join(["d"] * tree.MAX_DEPTH)).mkdir()
    with pytest.raises(ParticipantError, match="folders deep"):
        files(root)
    assert fault(root) == "state_irregular"


def test_no_descriptor_is_left_open(root: Path) -> None:
    symlink(root / "layers" / "deep" / "odd")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a plain count.
    for _ in range(20):
        with pytest.raises(ParticipantError):
            files(root)
        fault(root, max_files=1)
        with pytest.raises(FileNotFoundError):
            tree.open_regular(root, "layers/deep/missing")
        with pytest.raises(IrregularError):
            tree.open_regular(root, "layers/deep/odd")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("bounds", [{"max_bytes": 4999}, {"max_files": 4}])
def test_too_much(root: Path, bounds: dict[str, int]) -> None:
    assert fault(root, **bounds) == "state_too_large"
    with pytest.raises(ParticipantError) as refusal:
        files(root, **bounds)
    assert refusal.value.code == "state_too_large"


def test_folders_count_as_files(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / str(number)).mkdir()
    assert fault(tmp_path, max_files=10) == "state_too_large"
    assert fault(tmp_path, max_files=11) is None


def test_a_sparse_file_counts_as_what_its_copy_would_take(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert fault(tmp_path) == "state_too_large"


def test_looking_at_a_huge_folder_stops_at_the_bound(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for number in range(2_000):
        os.close(os.open(str(number), os.O_CREAT, dir_fd=folder))
    os.close(folder)
    seen = 0
    for seen, _ in enumerate(tree.walk(tmp_path), start=1):
        if seen == 50:
            break
    assert seen == 50
    assert fault(tmp_path) == "state_too_large"


def test_a_folder_that_is_swapped_for_a_link_is_not_entered(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    seen = []
    for path, _ in tree.walk(root):
        seen.append(path)
        if path == "layers":
            (root / "layers").rename(tmp_path / "moved")
            (root / "layers").symlink_to(outside)
    assert "layers" in seen
    assert "layers/secret" not in seen


def test_files_may_vanish_while_it_walks(root: Path) -> None:
    for number in range(50):
        (root / f"file-{number}").touch()
    for _ in tree.walk(root):
        for path in root.glob("file-*"):
            path.unlink()


def test_copying(root: Path, tmp_path: Path) -> None:
    (root / "run.sh").chmod(0o6777)
    (root / "run.sh").write_bytes(os.urandom(100_000))
    for entry in files(root):
        target = tmp_path / "copy"
        tree.copy_file(root, entry, target, "state")
        assert target.read_bytes() == (root / entry.path).read_bytes()
        assert stat.S_IMODE(target.stat().st_mode) == 0o644
        target.unlink()


def test_copying_never_follows_or_overwrites(root: Path, tmp_path: Path) -> None:
    entry = files(root)[0]
    (root / entry.path).unlink()
    (root / entry.path).symlink_to("/etc/passwd")
    with pytest.raises(ParticipantError, match="symbolic link"):
        tree.copy_file(root, entry, tmp_path / "copy", "state")
    assert not (tmp_path / "copy").exists()


def test_copying_a_file_that_has_shrunk(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ParticipantError, match="shrunk"):
        tree.copy_file(root, FileEntry("config.json", 100, 0o644), tmp_path / "copy", "state")


def test_removing_whatever_is_in_it(root: Path, tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").touch()
    os.link(keep / "file", root / "link-into-a-store")
    (keep / "file").chmod(0o444)
    (root / "outside").symlink_to(keep)
    (root / "closed").mkdir()
    (root / "closed" / "file").touch()
    (root / "closed").chmod(0)
    # Deeper than a recursive function or a path may be.
    folder = os.open(root, os.O_RDONLY)
    for _ in range(5000):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    tree.remove_tree(root)
    assert not root.exists()
    assert stat.S_IMODE((keep / "file").stat().st_mode) == 0o444
