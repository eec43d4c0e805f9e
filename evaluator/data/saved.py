"""Hugging Face datasets as ``save_to_disk`` writes them, found among the members of an archive.

A folder with a ``state.json`` is one; it names the Arrow files that belong to it, and no other one
is read (caches lie beside them). Nothing else in it is believed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from evaluator.data.jobs import Fault
from evaluator.data.pool import map_ordered
from evaluator.data.sources import SplitName
from evaluator.data.unpack import Unpacking, read_images, unpack, unpack_crashed
from leaderboard.store import store
from protocols.errors import DataError

STATE, INFO = "state.json", "dataset_info.json"
# What is said about a dataset is small; its fingerprints and features fit many times.
MAX_JSON_BYTES = 4 * 2**20
SPLITS: dict[str, SplitName] = {
    "train": "train",
    "eval": "eval",
    "test": "eval",
    "validation": "eval",
}

_COPY_BYTES = 2**20
_TYPICAL_BYTES = 100_000


@dataclass
class SavedDatasets:
    """The datasets of an archive: by folder, which Arrow files are theirs, and how many rows they claim."""

    files: dict[str, set[str]] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)

    def about(self, sizes: Iterable[tuple[str, int]]) -> int:
        """How many images there may be in Arrow files of these sizes: good enough for a progress bar.

        Folders that say nothing have images of 100 kB.
        """
        silent = sum(size for name, size in sizes if name.rpartition("/")[0] not in self.claimed)
        said = sum(n for folder, n in self.claimed.items() if folder in self.files)
        return said + silent // _TYPICAL_BYTES

    def note(self, name: str, data: bytes) -> None:
        """Read a member of the archive, if it says something about a dataset."""
        folder, _, file = name.rpartition("/")
        try:
            said = json.loads(data)
            if file == STATE:
                self.files[folder] = {str(entry["filename"]) for entry in said["_data_files"]}
            else:
                self.claimed[folder] = _n_examples(said["splits"], folder.rpartition("/")[2])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            # A state.json of something else; then the Arrow files beside it are nobody's.
            return

    def is_data(self, name: str) -> bool:
        """Whether this member is an Arrow file of a dataset."""
        folder, _, file = name.rpartition("/")
        return file in self.files.get(folder, ())

    def is_beside(self, name: str) -> bool:
        """Whether this member is something else that a dataset's folder holds, or the list of its splits."""
        folder, _, file = name.rpartition("/")
        return folder in self.files or (file == "dataset_dict.json" and self._has_below(folder))

    def _has_below(self, folder: str) -> bool:
        prefix = f"{folder}/" if folder else ""
        return any(found.startswith(prefix) for found in self.files)


def speaks(name: str) -> bool:
    """Whether a member of this name may say something about a dataset."""
    return name.rpartition("/")[2] in (STATE, INFO)


def saved_split(name: str) -> SplitName | None:
    """The split of an Arrow file: that of the outermost folder that is called like one."""
    return next((SPLITS[folder] for folder in name.split("/")[:-1] if folder in SPLITS), None)


def saved_images(arrow: IO[bytes], max_rows: int, max_bytes: int) -> Iterator[bytes]:
    """The image files in an Arrow file, read in a process of its own through a scratch folder.

    Raises ``DataError``: ``batch_dataset`` where the file is damaged or holds no images,
    ``batch_archive`` where it holds more than the limits.
    """
    with TemporaryDirectory(dir=store().scratch_folder) as name:
        work = Unpacking(Path(name, "arrow"), Path(name, "images"), max_rows, max_bytes)
        with work.source.open("wb") as copy:
            shutil.copyfileobj(arrow, copy, _COPY_BYTES)
        with closing(map_ordered(unpack, [work], crashed=unpack_crashed, workers=1)) as results:
            ((_, result),) = results
        work.source.unlink()
        if isinstance(result, Fault):
            raise DataError(result.code, result.detail)
        with work.target.open("rb") as images:
            yield from read_images(images)


def _n_examples(splits: Any, split: str) -> int:
    chosen = [splits[split]] if split in splits else list(splits.values())
    return sum(max(0, int(entry["num_examples"])) for entry in chosen)
