"""Reading a predictions dump of the official Ai-GenBench code. Nothing in its files is trusted.

A dump is a folder with ``window_<k>/predictions_validate_all.npz`` for every window k, or
one such file. Of its arrays these are read, and none by unpickling:

========================  ===========  ==================================================
``fused_scores``          float [n]    probability of "fake" (or [n, 1])
``fused_generator_ids``   int [n]      index into the names; 0 = real
``fused_identifiers``     int [n]      one image each
``pairing``               int [n]      for a real, its partner's generator; -1 = none
``generator_id_to_name``  str [g]      the first is "" (real)
``windows_timeline``      str [K, w]   generators by window; "" fills a shorter window
========================  ===========  ==================================================
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE_NAME = "predictions_validate_all.npz"
WINDOW_FOLDER = re.compile(r"window_([0-9]{1,4})")

# A full-size dump has 72,000 rows; this leaves room for a hundred times as many.
MAX_ARRAY_BYTES = 256 * 2**20

Array = NDArray[Any]


class DumpError(Exception):
    """The dump can't be scored: what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Dump:
    """``labels`` [n] (0 real, 1 fake) and ``window_of`` [n] (-1 = in no window) hold for all windows.

    ``scores`` maps a window to its scores [n], with the images in one order throughout.
    """

    labels: NDArray[np.int64]
    window_of: NDArray[np.int64]
    scores: Mapping[int, NDArray[np.float64]]
    n_windows: int

    @property
    def missing(self) -> list[int]:
        """The windows of the timeline that the dump has no predictions for."""
        return [k for k in range(self.n_windows) if k not in self.scores]


def read_dump(path: Path, window: int | None = None) -> Dump:
    """Read a dump. ``window`` says which window a single file holds, if its folder's name doesn't.

    Raises :class:`DumpError`.
    """
    files = _files(path, window)
    first: _WindowFile | None = None
    scores = {}
    for k, file in sorted(files.items()):
        content = _WindowFile.read(file)
        if first is None:
            first = content
        elif not first.same_images(content):
            raise DumpError(
                f"{file}: other images, partners or windows than in {first.path}. "
                "All files of a dump must come from one run."
            )
        if k >= content.n_windows:
            raise DumpError(f"{file}: window {k}, but the timeline has windows 0 to {content.n_windows - 1}.")
        scores[k] = content.scores
    if first is None:
        raise DumpError(f"{path}: no window_<k>/{FILE_NAME} in it. Name the folder that holds window_0.")
    return Dump(first.labels, first.window_of, scores, first.n_windows)


def _files(path: Path, window: int | None) -> dict[int, Path]:
    """The files of a dump by window."""
    if path.is_dir():
        if window is not None:
            raise DumpError(f"{path}: --window is for a single file; a folder names its windows.")
        files: dict[int, Path] = {}
        for folder in sorted(path.iterdir()):
            name = WINDOW_FOLDER.fullmatch(folder.name)
            if name and (folder / FILE_NAME).exists():
                if int(name[1]) in files:
                    raise DumpError(f"{folder}: window {int(name[1])} is there twice. Remove one.")
                files[int(name[1])] = folder / FILE_NAME
        return files
    name = WINDOW_FOLDER.fullmatch(path.absolute().parent.name)
    if window is None and name is None:
        raise DumpError(
            f"{path}: which window is this? Put the file in a folder window_<k>, or give --window <k>."
        )
    return {int(name[1]) if window is None and name else window or 0: path}


@dataclass(frozen=True)
class _WindowFile:
    """One file, its images in the order of their identifiers."""

    path: Path
    identifiers: Array
    generator_ids: Array
    partners: Array
    names: list[str]
    timeline: list[list[str]]
    labels: NDArray[np.int64]
    window_of: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def n_windows(self) -> int:
        return len(self.timeline)

    def same_images(self, other: _WindowFile) -> bool:
        return (
            np.array_equal(self.identifiers, other.identifiers)
            and np.array_equal(self.generator_ids, other.generator_ids)
            and np.array_equal(self.partners, other.partners)
            and self.names == other.names
            and self.timeline == other.timeline
        )

    @classmethod
    def read(cls, path: Path) -> _WindowFile:
        arrays = _Arrays(path)
        names = [str(name) for name in arrays.get("generator_id_to_name", "U", 1)]
        rows = arrays.get("windows_timeline", "U", 2)
        timeline = [[str(name) for name in row if name] for row in rows]
        window_of_name = _window_of_name(path, names, timeline)

        scores = arrays.get("fused_scores", "f", 1, 2)
        if scores.ndim == 2 and scores.shape[1] != 1:
            raise DumpError(f"{path}: fused_scores has shape {scores.shape}; one score an image is needed.")
        scores = scores.reshape(-1).astype(np.float64)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise DumpError(
                f"{path}: fused_scores holds NaN or a value outside [0, 1]. Store probabilities of 'fake'."
            )

        identifiers = arrays.get("fused_identifiers", "iu", 1).astype(np.int64)
        generator_ids = arrays.get("fused_generator_ids", "iu", 1).astype(np.int64)
        pairing = arrays.get("pairing", "iu", 1).astype(np.int64)
        for name, array in (
            ("fused_identifiers", identifiers),
            ("fused_generator_ids", generator_ids),
            ("pairing", pairing),
        ):
            if len(array) != len(scores):
                raise DumpError(f"{path}: {name} has {len(array)} rows, fused_scores has {len(scores)}.")
        if len(np.unique(identifiers)) < len(identifiers):
            raise DumpError(f"{path}: an image is in fused_identifiers twice. Keep one row an image.")
        if ((generator_ids < 0) | (generator_ids >= len(names))).any():
            raise DumpError(f"{path}: fused_generator_ids names no entry of generator_id_to_name.")
        real = generator_ids == 0
        partners = np.where(real, pairing, -1)
        if ((partners < -1) | (partners >= len(names)) | (partners == 0)).any():
            raise DumpError(f"{path}: pairing gives a real image a partner that is no generator.")
        units = np.where(real, partners, generator_ids).astype(np.int64)
        window_of = np.where(units < 0, -1, window_of_name[units])
        if (window_of[~real] < 0).any():
            stray = names[generator_ids[~real & (window_of < 0)][0]]
            raise DumpError(f"{path}: {stray!r} has images but is in no window of windows_timeline.")

        order = np.argsort(identifiers)
        return cls(
            path=path,
            identifiers=identifiers[order],
            generator_ids=generator_ids[order],
            partners=partners[order],
            names=names,
            timeline=timeline,
            labels=(~real[order]).astype(np.int64),
            window_of=window_of[order],
            scores=scores[order],
        )


def _window_of_name(path: Path, names: list[str], timeline: list[list[str]]) -> NDArray[np.int64]:
    """The window of every generator by its id; -1 for the reals and for a generator in no window."""
    if not names or names[0] or len(set(names)) < len(names):
        raise DumpError(
            f'{path}: generator_id_to_name must start with "" (real) and name no generator twice.'
        )
    ids = {name: index for index, name in enumerate(names)}
    window_of = np.full(len(names), -1, dtype=np.int64)
    for window, members in enumerate(timeline):
        if not members:
            raise DumpError(f"{path}: window {window} of windows_timeline is empty.")
        for name in members:
            if name not in ids:
                raise DumpError(f"{path}: windows_timeline names {name!r}, generator_id_to_name doesn't.")
            if window_of[ids[name]] >= 0:
                raise DumpError(f"{path}: windows_timeline has {name!r} twice.")
            window_of[ids[name]] = window
    if not timeline:
        raise DumpError(f"{path}: windows_timeline is empty.")
    return window_of


class _Arrays:
    """The arrays of an ``.npz`` file, read one by one within bounds and never unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str, kinds: str, *ndims: int) -> Array:
        """The array ``name``; its dtype kind must be in ``kinds``, its number of dimensions in ``ndims``."""
        array = self._read(name)
        if array.dtype.kind not in kinds or array.ndim not in ndims:
            wanted = {"U": "text", "f": "floats", "iu": "integers"}[kinds]
            raise DumpError(
                f"{self.path}: {name} is {array.dtype} {array.shape}; "
                f"{wanted} in {' or '.join(map(str, ndims))} dimension(s) are needed."
            )
        return array

    def _read(self, name: str) -> Array:
        if not self.path.is_file():
            raise DumpError(f"{self.path}: not a plain file.")
        try:
            with zipfile.ZipFile(self.path) as archive:
                size = archive.getinfo(f"{name}.npy").file_size
                if size > MAX_ARRAY_BYTES:
                    raise DumpError(
                        f"{self.path}: {name} unpacks to {size} bytes; {MAX_ARRAY_BYTES} are allowed."
                    )
                with archive.open(f"{name}.npy") as member:
                    return np.lib.format.read_array(member, allow_pickle=False)
        except DumpError:
            raise
        except KeyError:
            raise DumpError(
                f"{self.path}: there is no array {name}. Is this a dump of predictions?"
            ) from None
        # Any fault while decoding a foreign file means that the file is bad, and zipfile,
        # zlib, numpy and the tokenizer behind its headers raise a dozen kinds.
        except Exception as fault:
            hint = ""
            if name == "windows_timeline" and "allow_pickle" in str(fault):
                hint = ' Save it as text, with shorter windows filled up by "".'
            raise DumpError(
                f"{self.path}: {name} can't be read ({type(fault).__name__}: {fault}).{hint}"
            ) from None
