"""Files that are broken, wrong or made to harm end in a sentence and exit code 1, never in a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.tidemark.dumps import Arrays, small_dumps, write
from tidemark.cli import app
from tidemark.dump import FILE_NAME, DumpError, read_dump


def refusal(path: Path, *options: str) -> str:
    """The one line on standard error with which the command refuses ``path``."""
    result = CliRunner().invoke(app, ["score", str(path), *options])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def with_changes(tmp_path: Path, window: int = 0, **changes: object) -> Path:
    dumps = small_dumps()
    dumps[window].update(changes)
    return write(tmp_path, dumps)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fused_scores": np.full(8, np.nan)}, "NaN or a value outside"),
        ({"fused_scores": np.full(8, 1.5)}, "outside [0, 1]"),
        ({"fused_scores": np.full((8, 2), 0.5)}, "one score an image"),
        ({"fused_scores": np.full((8, 1, 1), 0.5)}, "1 or 2 dimension"),
        ({"fused_scores": np.full(7, 0.5)}, "fused_identifiers has 8 rows, fused_scores has 7"),
        ({"fused_scores": np.array(["0.5"] * 8)}, "floats"),
        ({"fused_generator_ids": np.full(8, 9)}, "names no entry"),
        ({"fused_generator_ids": np.full(8, -1)}, "names no entry"),
        ({"fused_generator_ids": np.full(8, 2**64 - 1, dtype=np.uint64)}, "names no entry"),
        ({"fused_generator_ids": np.full(8, 0.0)}, "integers"),
        ({"fused_identifiers": np.zeros(8, dtype=int)}, "twice"),
        ({"pairing": np.full(8, 0)}, "no generator"),
        ({"pairing": np.full(8, 99)}, "no generator"),
        ({"pairing": np.full(8, -2)}, "no generator"),
        ({"generator_id_to_name": np.array(["real", "a", "b", "c", "d"])}, "must start with"),
        ({"generator_id_to_name": np.array(["", "a", "a", "c", "d"])}, "no generator twice"),
        ({"generator_id_to_name": np.array([], dtype="U1")}, "must start with"),
        ({"generator_id_to_name": np.arange(5)}, "text"),
        ({"windows_timeline": np.array([["a", "b"], ["c", "c"]])}, "'c' twice"),
        ({"windows_timeline": np.array([["a", "b"], ["c", "z"]])}, "names 'z'"),
        ({"windows_timeline": np.array([["a", "b"], ["c", ""]])}, "'d' has images but is in no window"),
        ({"windows_timeline": np.array([["a", "b"], ["", ""]])}, "window 1 of windows_timeline is empty"),
        ({"windows_timeline": np.empty((0, 2), dtype="U1")}, "windows_timeline is empty"),
        ({"windows_timeline": np.array(["a", "b"])}, "2 dimension"),
    ],
)
def test_wrong_content(tmp_path: Path, changes: Arrays, reason: str) -> None:
    assert reason in refusal(with_changes(tmp_path, **changes))


@pytest.mark.parametrize("name", list(small_dumps()[0]))
def test_a_missing_array(tmp_path: Path, name: str) -> None:
    dumps = small_dumps()
    del dumps[0][name]
    assert f"there is no array {name}" in refusal(write(tmp_path, dumps))


@pytest.mark.parametrize(
    "changes",
    [
        {"fused_identifiers": np.arange(8)},
        {"pairing": np.array([-1, -1, -1, -1, 2, 1, 3, 4])},
        {"generator_id_to_name": np.array(["", "b", "a", "c", "d"])},
        {"windows_timeline": np.array([["b", "c"], ["a", ""], ["d", ""]])},
    ],
)
def test_windows_of_different_runs(tmp_path: Path, changes: Arrays) -> None:
    assert "must come from one run" in refusal(with_changes(tmp_path, window=1, **changes))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    harm = tmp_path / "harm"

    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(harm),)

    ragged = np.array([["a", "b"], ["c"], ["d"]], dtype=object)
    message = refusal(with_changes(tmp_path / "ragged", windows_timeline=ragged))
    assert 'shorter windows filled up by ""' in message

    loaded = np.empty(8, dtype=object)
    loaded[:] = Harm()
    assert "fused_scores can't be read" in refusal(with_changes(tmp_path / "loaded", fused_scores=loaded))
    bare = tmp_path / "window_0" / FILE_NAME
    bare.parent.mkdir()
    bare.write_bytes(pickle.dumps(Harm()))
    assert "can't be read" in refusal(bare)
    assert not harm.exists()


def test_an_array_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = write(tmp_path, small_dumps())
    bomb = path / "window_0" / FILE_NAME
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("generator_id_to_name.npy", "w") as member,
    ):
        for _ in range(257):
            member.write(bytes(2**20))
    assert bomb.stat().st_size < 2**20
    assert f"unpacks to {257 * 2**20} bytes" in refusal(path)


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = write(tmp_path, small_dumps())
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<U8", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(path / "window_0" / FILE_NAME, "w") as archive:
        archive.writestr("generator_id_to_name.npy", buffer.getvalue() + bytes(64))
    assert "generator_id_to_name can't be read" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"\x93NUMPY\x01\x00", bytes(1000)])
def test_no_zip_at_all(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, small_dumps())
    (path / "window_2" / FILE_NAME).write_bytes(content)
    assert "can't be read" in refusal(path)


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    path = write(tmp_path, small_dumps())
    file = path / "window_1" / FILE_NAME
    file.unlink()
    os.mkfifo(file)
    assert "not a plain file" in refusal(path)
    file.unlink()
    file.mkdir()
    assert "not a plain file" in refusal(path)


def test_folders_that_are_no_dump(tmp_path: Path) -> None:
    assert "no window_<k>/predictions_validate_all.npz" in refusal(tmp_path)
    write(tmp_path, small_dumps())
    (tmp_path / "window_01").mkdir()
    assert read_dump(tmp_path).missing == []
    shutil.copy(tmp_path / "window_1" / FILE_NAME, tmp_path / "window_01")
    assert "window 1 is there twice" in refusal(tmp_path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write(tmp_path_factory.mktemp("sound"), small_dumps())
    return (path / "window_0" / FILE_NAME).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_damage_anywhere_is_read_or_refused(sound: bytes, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sound)))
    file = tmp_path / "window_0" / FILE_NAME
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(damaged[:cut] if data.draw(st.booleans()) else damaged)
    with contextlib.suppress(DumpError):
        scores = read_dump(file).scores[0]
        assert ((scores >= 0) & (scores <= 1)).all()


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_is_read_or_refused(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "window_0" / FILE_NAME
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "generator_id_to_name.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
    with pytest.raises(DumpError):
        read_dump(file)
