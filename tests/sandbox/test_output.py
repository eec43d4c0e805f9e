"""Predictions and states as they come back, right and wrong in every way."""

from __future__ import annotations

import io
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CATALOGUE, ParticipantError
from sandbox.output import LINE_BYTES, parse_predictions, read_output, read_predictions, read_state
from tests.sandbox.stage import BUDGET

IDS = ["aa", "bb", "cc"]
HEADER = "image_id,score\n"


def parse(content: str | bytes, ids: list[str] = IDS) -> list[float]:
    raw = content.encode() if isinstance(content, str) else content
    return parse_predictions(io.BufferedReader(io.BytesIO(raw)), ids).tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "scores"),
    [
        ("aa,0.5\nbb,0\ncc,1\n", [0.5, 0.0, 1.0]),
        ("cc,1\naa,0.5\nbb,0\n", [0.5, 0.0, 1.0]),
        # No end of line at the end; lines as Windows ends them; spaces around the number.
        ("aa,0.5\nbb,0\ncc,1", [0.5, 0.0, 1.0]),
        ("aa,0.5\r\nbb,0\r\ncc,1\r\n", [0.5, 0.0, 1.0]),
        ("aa, .5\nbb,0e0 \ncc,1.\n", [0.5, 0.0, 1.0]),
        ("aa,1e-320\nbb,4.9e-324\ncc,0.1\n", [1e-320, 4.9e-324, 0.1]),
    ],
)
def test_scores_come_in_the_order_asked_for(rows: str, scores: list[float]) -> None:
    assert parse(HEADER + rows) == scores


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.randoms())
def test_every_float_comes_back_exactly(scores: list[float], shuffler: object) -> None:
    ids = [f"{number:032x}" for number in range(len(scores))]
    rows = [f"{image_id},{score!r}\n" for image_id, score in zip(ids, scores, strict=True)]
    shuffler.shuffle(rows)  # type: ignore[attr-defined]
    assert parse(HEADER + "".join(rows), ids) == scores


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "predictions_header"),
        ("aa,0.5\nbb,0.5\ncc,0.5\n", "predictions_header"),
        ("\ufeffimage_id,score\naa,0.5\n", "predictions_header"),
        ("image_id;score\n", "predictions_header"),
        ("image_id,score,note\n", "predictions_header"),
        ("x" * 10**6, "predictions_header"),
        (b"\xff\xfe", "predictions_encoding"),
        (HEADER.encode() + b"aa,0.5\nb\xe9,0.5\n", "predictions_encoding"),
        (HEADER, "predictions_incomplete"),
        (HEADER + "aa,0.5\nbb,0.5\n", "predictions_incomplete"),
        (HEADER + "aa,0.5\nbb,0.5\ncc,0.5\naa,0.5\n", "predictions_too_many"),
        (HEADER + "aa,0.5\nbb,0.5\ncc,0.5\n\n", "predictions_too_many"),
        (HEADER + "aa,0.5\naa,0.5\nbb,0.5\n", "predictions_duplicate"),
        (HEADER + "aa,0.5\ndd,0.5\n", "predictions_unknown"),
        (HEADER + ",0.5\n", "predictions_unknown"),
        (HEADER + "AA,0.5\n", "predictions_unknown"),
        (HEADER + '"aa",0.5\n', "predictions_unknown"),
        (HEADER + "aa\n", "predictions_malformed"),
        (HEADER + "\naa,0.5\n", "predictions_malformed"),
        (HEADER + "aa;0.5\n", "predictions_malformed"),
        (HEADER + "aa,\n", "predictions_malformed"),
        (HEADER + "aa,fake\n", "predictions_malformed"),
        (HEADER + "aa,0.5,0.5\n", "predictions_malformed"),
        (HEADER + "aa,0_1\n", "predictions_malformed"),
        (HEADER + "aa,٠.٥\n", "predictions_malformed"),
        (HEADER + "aa,0x1p-1\n", "predictions_malformed"),
        (HEADER + "aa,0,5\n", "predictions_malformed"),
        (HEADER + "aa,0.5\0\n", "predictions_malformed"),
        (HEADER + "aa,0." + "5" * 10**6, "predictions_malformed"),
        (HEADER + "aa,nan\nbb,0.5\ncc,0.5\n", "predictions_nan"),
        (HEADER + "aa,0.5\nbb,inf\ncc,0.5\n", "predictions_nan"),
        (HEADER + "aa,0.5\nbb,-Infinity\ncc,0.5\n", "predictions_nan"),
        (HEADER + "aa,0.5\nbb,1e400\ncc,0.5\n", "predictions_nan"),
        (HEADER + "aa,0.5\nbb,0.5\ncc,1.0000000000000002\n", "predictions_range"),
        (HEADER + "aa,-1e-300\nbb,0.5\ncc,0.5\n", "predictions_range"),
    ],
)
def test_everything_else_has_its_code(content: str | bytes, code: str) -> None:
    with pytest.raises(ParticipantError) as refusal:
        parse(content)
    assert refusal.value.code == code
    assert len(refusal.value.detail) < 500


def test_every_code_of_predictions_can_happen() -> None:
    mark = next(m for m in test_everything_else_has_its_code.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    shown = {code for _, code in mark.args[1]} | {"predictions_missing"}
    assert shown == {code for code in CATALOGUE if code.startswith("predictions_")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + "aa,0.5\ndd,0.5\n", "Line 3 names 'dd'"),
        (HEADER + "aa,0.5\naa,0.5\n", "Line 3 names 'aa' again"),
        (HEADER + "aa,high\n", "Line 2 is b'aa,high"),
        (HEADER + "cc,0.5\n", "2 of 3 are missing, such as 'aa'"),
        (HEADER + "aa,0.5\nbb,2\ncc,3\n", "2 rows; the score of 'bb' is 2.0"),
    ],
)
def test_the_message_says_where(content: str, words: str) -> None:
    with pytest.raises(ParticipantError, match=words):
        parse(content)


def test_a_row_as_long_as_a_line_may_be() -> None:
    image_id = "i" * (LINE_BYTES - len(",0.5\n"))
    assert parse(f"{HEADER}{image_id},0.5\n", [image_id]) == [0.5]


def benchmark_ids(number: int) -> list[str]:
    return [f"{index:032x}" for index in range(number)]


def test_a_whole_benchmark_is_read_in_well_under_a_second(tmp_path: Path) -> None:
    ids = benchmark_ids(72_000)
    scores = np.random.default_rng(1).random(len(ids))
    rows = [f"{image_id},{score!r}\n" for image_id, score in zip(ids, scores.tolist(), strict=True)]
    np.random.default_rng(2).shuffle(rows)
    (tmp_path / "predictions.csv").write_text(HEADER + "".join(rows))
    # Processor time: the machine may have other things to do.
    started = time.process_time()
    found = read_predictions(tmp_path, ids, replace(BUDGET, output_bytes=10**8))
    assert time.process_time() - started < 0.5
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, scores)


@pytest.mark.parametrize("line", [b"00000000000000000000000000000000,0.5\n", b"x", b"\n", b"\0"])
def test_a_gigabyte_is_refused_in_little_time_and_memory(tmp_path: Path, line: bytes) -> None:
    ids = benchmark_ids(1000)
    with (tmp_path / "predictions.csv").open("wb") as file:
        file.write(HEADER.encode() + line * 2000)
        file.truncate(1 << 30)
    started = time.process_time()
    tracemalloc.start()
    with pytest.raises(ParticipantError):
        read_predictions(tmp_path, ids, replace(BUDGET, output_bytes=1 << 31))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 20
    assert time.process_time() - started < 0.5


def test_ten_million_rows_are_refused_at_the_first_too_many(tmp_path: Path) -> None:
    ids = benchmark_ids(1000)
    with (tmp_path / "predictions.csv").open("wb") as file:
        file.write(HEADER.encode() + b"".join(f"{image_id},0.5\n".encode() for image_id in ids))
        block = b"0,0\n" * 10_000
        for _ in range(1000):
            file.write(block)
    started = time.process_time()
    with pytest.raises(ParticipantError) as refusal:
        read_predictions(tmp_path, ids, replace(BUDGET, output_bytes=1 << 31))
    assert refusal.value.code == "predictions_too_many"
    assert time.process_time() - started < 0.5


def test_predictions_must_be_a_plain_file_within_the_budget(tmp_path: Path) -> None:
    def code(budget_bytes: int = 10**6) -> str:
        with pytest.raises(ParticipantError) as refusal:
            read_predictions(tmp_path, IDS, replace(BUDGET, output_bytes=budget_bytes))
        return refusal.value.code

    assert code() == "predictions_missing"
    (tmp_path / "predictions.csv").mkdir()
    assert code() == "output_irregular"
    (tmp_path / "predictions.csv").rmdir()
    (tmp_path / "predictions.csv").write_text(HEADER)
    assert code() == "predictions_incomplete"
    assert code(budget_bytes=5) == "output_too_large"
    (tmp_path / "metrics.jsonl").symlink_to("predictions.csv")
    assert code() == "output_irregular"


def test_the_output_may_hold_metrics_too(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}")
    assert [file.path for file in read_output(tmp_path, BUDGET)] == ["metrics.jsonl"]


def test_a_state_may_grow_and_change_but_not_vanish(tmp_path: Path) -> None:
    assert read_state(tmp_path, BUDGET, had_state=False) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParticipantError) as refusal:
        read_state(tmp_path, BUDGET, had_state=True)
    assert refusal.value.code == "state_missing"
    (tmp_path / "weights").touch()
    assert [file.path for file in read_state(tmp_path, BUDGET, had_state=True)] == ["weights"]
    (tmp_path / "more").write_bytes(bytes(BUDGET.state_bytes + 1))
    with pytest.raises(ParticipantError) as refusal:
        read_state(tmp_path, BUDGET, had_state=True)
    assert refusal.value.code == "state_too_large"
