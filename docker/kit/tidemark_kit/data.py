"""The images of a step, read straight from the Arrow files of a Hugging Face dataset directory.

``datasets.load_from_disk`` opens the same directory and takes about two seconds of imports
more at every start of a container; what a detector needs is a memory-mapped table.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import pyarrow as pa

from tidemark_kit.request import KitError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Sample:
    """One image; ``label`` (0 real, 1 generated), ``generator`` and ``window`` are None when predicting."""

    image_id: str
    encoded: bytes
    label: int | None = None
    generator: str | None = None
    window: int | None = None

    @property
    def image(self) -> Image:
        """The decoded image, RGB, in its own size."""
        # constant's image has no Pillow.
        from PIL import Image

        return Image.open(io.BytesIO(self.encoded)).convert("RGB")


class Images(Sequence[Sample]):
    """The rows of a dataset directory; only those that are asked for are read from disk."""

    def __init__(self, folder: Path) -> None:
        state = folder / "state.json"
        if not state.is_file():
            raise KitError(f"{folder} holds no dataset: {state.name} is missing.")
        files = [folder / entry["filename"] for entry in json.loads(state.read_text())["_data_files"]]
        self._table = pa.concat_tables(
            pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files
        )
        self._labelled = "label" in self._table.column_names

    @property
    def ids(self) -> list[str]:
        return self._table["image_id"].to_pylist()

    @property
    def labels(self) -> list[int]:
        """0 real, 1 generated; training sets only."""
        return self._table["label"].to_pylist()

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        names = ("image_id", "label", "generator", "window") if self._labelled else ("image_id",)
        values = {name: self._table[name][index].as_py() for name in names}
        return Sample(encoded=self._table["image"][index].as_py()["bytes"], **values)
