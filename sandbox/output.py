"""Reading what a container has left behind, after it is gone."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocols.contract import (
    MAX_OUTPUT_FILES,
    MAX_STATE_FILES,
    PREDICTIONS_HEADER,
    PREDICTIONS_NAME,
    Budget,
)
from protocols.errors import ParticipantError
from sandbox.tree import FileEntry, IrregularError, open_regular, regular_files

# No image_id and no score come near this; a longer line is refused unread.
LINE_BYTES = 512


def read_state(state: Path, budget: Budget, *, had_state: bool) -> list[FileEntry]:
    """The plain files that a training phase has left in ``state``, sorted by path.

    ``had_state`` tells that an earlier window had left files. Raises ``ParticipantError``:
    state_irregular, state_too_large, or state_missing when they are all gone.
    """
    files = regular_files(state, "state", max_bytes=budget.state_bytes, max_files=MAX_STATE_FILES)
    if had_state and not files:
        raise ParticipantError("state_missing")
    return files


def read_output(output: Path, budget: Budget) -> list[FileEntry]:
    """The plain files in ``output``, sorted by path.

    Raises ``ParticipantError``: output_irregular or output_too_large.
    """
    return regular_files(output, "output", max_bytes=budget.output_bytes, max_files=MAX_OUTPUT_FILES)


def read_predictions(output: Path, image_ids: Sequence[str], budget: Budget) -> NDArray[np.float64]:
    """The scores of ``output/predictions.csv``, shape ``(len(image_ids),)``, in the order of ``image_ids``.

    ``image_ids`` are distinct. Time and memory are bounded by their number, whatever the file holds.
    Raises ``ParticipantError``: output_irregular, output_too_large or one of predictions_missing,
    _encoding, _header, _malformed, _too_many, _duplicate, _unknown, _incomplete, _nan, _range.
    """
    read_output(output, budget)
    try:
        descriptor = open_regular(output, PREDICTIONS_NAME)
    except FileNotFoundError:
        raise ParticipantError("predictions_missing") from None
    except IrregularError as error:
        raise ParticipantError("output_irregular", f"/bench/output: {error}") from error
    with os.fdopen(descriptor, "rb") as file:
        return parse_predictions(file, image_ids)


def parse_predictions(file: io.BufferedReader, image_ids: Sequence[str]) -> NDArray[np.float64]:
    """The scores of an open predictions file; see :func:`read_predictions`."""
    header = _decode(file.readline(LINE_BYTES), 1)
    if header.rstrip("\r\n") != PREDICTIONS_HEADER:
        raise ParticipantError("predictions_header", f"The first line is {header[:80]!r}.")
    position = {image_id: index for index, image_id in enumerate(image_ids)}
    scores = np.empty(len(position), dtype=np.float64)
    unseen = bytearray(b"\1") * len(position)
    n_rows = 0
    for number, raw in enumerate(iter(lambda: file.readline(LINE_BYTES), b""), start=2):
        image_id, comma, text = _decode(raw, number).partition(",")
        if n_rows == len(position):
            raise ParticipantError(
                "predictions_too_many", f"There are more than {len(position)} rows, one for each image."
            )
        n_rows += 1
        if not comma:
            raise _malformed(number, raw)
        index = position.get(image_id)
        if index is None:
            raise ParticipantError("predictions_unknown", f"Line {number} names {image_id[:80]!r}.")
        if not unseen[index]:
            raise ParticipantError("predictions_duplicate", f"Line {number} names {image_id!r} again.")
        unseen[index] = 0
        scores[index] = _score(text, number, raw)
    if n_rows < len(position):
        first = image_ids[unseen.index(1)]
        raise ParticipantError(
            "predictions_incomplete",
            f"{len(position) - n_rows} of {len(position)} are missing, such as {first!r}.",
        )
    _check_values(scores, image_ids)
    return scores


def _decode(raw: bytes, number: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ParticipantError("predictions_encoding", f"Line {number} is not UTF-8.") from error


def _score(text: str, number: int, raw: bytes) -> float:
    # Python's own literals may hold underscores and digits of any script; a table's may not.
    if not text.isascii() or "_" in text:
        raise _malformed(number, raw)
    try:
        return float(text)
    except ValueError:
        raise _malformed(number, raw) from None


def _malformed(number: int, raw: bytes) -> ParticipantError:
    return ParticipantError("predictions_malformed", f"Line {number} is {raw[:80]!r}.")


def _check_values(scores: NDArray[np.float64], image_ids: Sequence[str]) -> None:
    for code, wrong in (
        ("predictions_nan", ~np.isfinite(scores)),
        ("predictions_range", (scores < 0) | (scores > 1)),
    ):
        if wrong.any():
            index = int(wrong.argmax())
            raise ParticipantError(
                code, f"{int(wrong.sum())} rows; the score of {image_ids[index]!r} is {scores[index]}."
            )
