"""Taking the images out of an Arrow file of unknown origin. Runs in a process of its own, without Django.

Arrow's own checks are made on every piece. What they may miss meets the limits of that process:
its memory and its time (``evaluator.data.pool``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from evaluator.data.decode import LIMITS
from evaluator.data.jobs import Fault

# The length of an image, in front of its bytes.
_LENGTH = struct.Struct("<Q")


class Unpacking(NamedTuple):
    """Read the Arrow file ``source`` and write its images to ``target``, as far as the limits go."""

    source: Path
    target: Path
    max_rows: int
    max_bytes: int


def unpack(work: Unpacking) -> int | Fault:
    """Returns the number of rows. A row without an image gives an empty one, an overlong one is cut."""
    n_rows = n_bytes = 0
    try:
        with pa.OSFile(str(work.source)) as file, pa.ipc.open_stream(file) as stream:
            column = _image_column(stream.schema)
            if column is None:
                return Fault("batch_dataset", "No column holds images with their bytes.")
            with work.target.open("wb") as target:
                for batch in stream:
                    batch.validate(full=True)
                    for image in _images(batch.column(column)):
                        n_rows += 1
                        n_bytes += len(image)
                        if n_rows > work.max_rows:
                            return Fault("batch_archive", f"There are more than {work.max_rows:,} images.")
                        if n_bytes > work.max_bytes:
                            return Fault(
                                "batch_archive", f"It unpacks to more than {work.max_bytes:,} bytes."
                            )
                        target.write(_LENGTH.pack(len(image)))
                        target.write(image)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        # Without the message: it may hold bytes of the file.
        return Fault("batch_dataset", f"An Arrow file can't be read ({type(error).__name__}).")
    return n_rows


def unpack_crashed(_: Unpacking) -> Fault:
    """The result for a file that took the whole process down."""
    return Fault("batch_dataset", "Reading an Arrow file crashed or took too long.")


def read_images(file: IO[bytes]) -> Iterator[bytes]:
    """The images that :func:`unpack` wrote."""
    while head := file.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head)
        yield file.read(length)


def _image_column(schema: pa.Schema) -> int | None:
    """The column of images as `datasets` stores them, a struct with ``bytes``; ``image`` before others."""
    found = [n for n, column in enumerate(schema) if _holds_images(column.type)]
    named = [n for n in found if schema.field(n).name == "image"]
    return next(iter(named or found), None)


def _holds_images(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    inner = kind.field("bytes").type
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _images(column: Any) -> Iterator[bytes]:
    for value in column.field("bytes"):
        buffer = value.as_buffer() if value.is_valid else None
        # One byte more than is allowed, so that the decoder refuses what is larger.
        yield b"" if buffer is None else bytes(memoryview(buffer)[: LIMITS.max_bytes + 1])
