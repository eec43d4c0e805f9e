"""Putting datasets in place for a container: a folder of hard links, whatever the number of images."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from evaluator.data.evaluation import EvalSet
from evaluator.data.training import TrainSet
from leaderboard.store import store
from protocols.contract import EVAL_COLUMNS, TRAIN_COLUMNS
from sandbox.arrow import MTIME_S
from sandbox.datasets import describe, file_names

# Another file system, too many links, a file system without links, or links to files of others forbidden.
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.EPERM}


def stage_train(destination: Path, windows: Sequence[TrainSet]) -> None:
    """Make ``destination`` a dataset of these windows' images, in their order, for ``/bench/train``."""
    files = [file for window in windows for file in window.files]
    _stage(destination, files, TRAIN_COLUMNS, *(window.key for window in windows))


def stage_eval(destination: Path, eval_set: EvalSet) -> None:
    """Make ``destination`` a dataset of these units' images for ``/bench/eval``."""
    _stage(destination, eval_set.files, EVAL_COLUMNS, eval_set.key)


def link(key: str, target: Path) -> None:
    """Put an object of the store at ``target``: linked if the file system allows, else copied; read-only."""
    source = store().path(key)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
        target.chmod(0o444)
        os.utime(target, (MTIME_S, MTIME_S))


def _stage(destination: Path, files: Sequence[str], columns: Sequence[str], *keys: str) -> None:
    destination.mkdir(parents=True)
    names = file_names(len(files))
    for name, file in zip(names, files, strict=True):
        link(file, destination / name)
    # The keys depend on the secret for ids, so the hash of them that is shown tells nothing either.
    describe(destination, columns, names, *keys)
