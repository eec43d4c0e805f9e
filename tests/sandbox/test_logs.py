from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.logs import LINE_BYTES, PACE_S, TAIL_BYTES, CoarseProgress, Log, parse_progress


@pytest.mark.parametrize(
    ("line", "fraction"),
    [
        (b'{"progress": 0.42}', 0.42),
        (b'  {"epoch": 3, "progress": 1}\r', 1.0),
        (b'{"progress": -0.1}', 0.0),
        (b'{"progress": 1.1}', 1.0),
        (b'{"progress": 1e999}', None),
        (b'{"progress": -Infinity}', None),
        (b'{"progress": NaN}', None),
        (b'{"progress": "0.5"}', None),
        (b'{"progress": true}', None),
        (b'{"progress": null}', None),
        (b'{"progress": ' + b"9" * 400 + b"}", None),
        (b'{"progress": ' + b"9" * 4000 + b"}", None),
        (b'{"loss": 0.5}', None),
        (b'["progress", 0.5]', None),
        (b'{"progress": 0.5', None),
        (b'{"a": ' * 4000, None),
        (b'{"progress": 0.5}\xff', None),
        (b"{", None),
        (b"", None),
        (b"epoch 3", None),
    ],
)
def test_progress_is_a_fraction_or_nothing(line: bytes, fraction: float | None) -> None:
    assert parse_progress(line) == fraction


@given(
    st.binary(max_size=200)
    | (st.none() | st.floats() | st.integers() | st.text(max_size=9)).map(
        lambda value: json.dumps({"progress": value}).encode()
    )
)
def test_no_line_breaks_it(line: bytes) -> None:
    fraction = parse_progress(line)
    assert fraction is None or 0 <= fraction <= 1


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_it_does_not_matter_how_the_stream_is_cut(chunks: list[bytes]) -> None:
    stream = b'{"progress": 0.25}\n' + b"".join(chunks) + b'\n{"progress": 0.5}\nend'
    whole, cut = Log(10**6), Log(10**6)
    whole.feed(stream)
    for index in range(len(stream)):
        cut.feed(stream[index : index + 1])
    assert (whole.progress, whole.tail, whole.size_bytes) == (cut.progress, cut.tail, cut.size_bytes)
    assert whole.progress == 0.5
    assert whole.tail.endswith("end")


def test_memory_is_bounded() -> None:
    log = Log(10**9)
    for _ in range(1000):
        log.feed(b"x" * 10_000)
    assert log.size_bytes == 10_000_000
    assert len(log.tail) == TAIL_BYTES
    assert len(log._line) <= LINE_BYTES


def test_a_long_line_is_no_progress_and_the_next_one_is() -> None:
    log = Log(10**6)
    log.feed(b'{"progress": 0.1, "note": "' + b"x" * LINE_BYTES + b'"}\n')
    assert log.progress is None
    log.feed(b'{"progress": 0.2}\n')
    assert log.progress == 0.2


def test_a_flood_keeps_what_came_first() -> None:
    log = Log(10)
    log.feed(b"first\n")
    assert not log.flooded
    log.feed(b"second")
    assert log.flooded
    log.feed(b"third")
    assert (log.tail, log.size_bytes) == ("first\nsecond", 12)


def test_the_tail_is_text_that_a_database_takes() -> None:
    log = Log(10**6)
    log.feed(b"caf\xc3\xa9 \xff\x00\x1b[31m\x9b\r\x7f\ttab\n")
    assert log.tail == "café \N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}\ttab\n"


def test_coarse_progress_is_in_tenths_and_changes_at_set_times_alone() -> None:
    coarse = CoarseProgress()
    reports = [
        (0.3, 0.01),
        (4.0, 0.99),
        (9.9, 0.55),
        (10.1, 0.57),
        (12.0, 1.0),
        (19.9, 1.0),
        (21.0, 0.3),
        (33.0, 0.649),
    ]
    assert [coarse.at(*report) for report in reports] == [None, None, None, 0.5, 0.5, 0.5, 0.5, 0.6]


@given(st.lists(st.tuples(st.floats(0, 5), st.none() | st.floats(0, 1)), max_size=200))
def test_coarse_progress_never_tells_more(steps: list[tuple[float, float | None]]) -> None:
    coarse, elapsed_s, shown = CoarseProgress(), 0.0, [0.0]
    changed_in: list[int] = []
    for pause_s, reported in steps:
        elapsed_s += pause_s
        value = coarse.at(elapsed_s, reported) or 0.0
        if value != shown[-1]:
            changed_in.append(int(elapsed_s // PACE_S))
        shown.append(value)
    assert shown == sorted(shown)
    assert {round(value * 10, 9) for value in shown} <= set(range(11))
    assert len(changed_in) == len(set(changed_in))


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 199, 200, 201, 5000])
@pytest.mark.parametrize("step", [1, 7, 64, 1000])
def test_the_beginning_and_the_end_are_kept(size: int, step: int) -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(size))
    log = Log(10**6, kept_bytes=100)
    for start in range(0, size, step):
        log.feed(text[start : start + step].encode())
    if size <= 200:
        assert log.text == text
    else:
        note = f"\n[… {size - 200} bytes of the output are left out here …]\n"
        assert log.text == text[:100] + note + text[-100:]
    assert log.tail == text


def test_nothing_but_the_tail_is_kept_unless_asked_for() -> None:
    log = Log(10**6)
    log.feed(b"secret pixels")
    assert log.text == ""
