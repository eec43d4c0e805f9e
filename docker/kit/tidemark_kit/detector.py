"""A detector is two methods; ``run`` does the rest of the container contract."""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tidemark_kit.data import Images
from tidemark_kit.request import KitError, Request

_USAGE = "One argument is needed, train or predict."
_PROGRESS_INTERVAL_S = 0.5


class Window(Images):
    """The training images of one window, and the ``request`` they came with."""

    def __init__(self, folder: Path, request: Request) -> None:
        super().__init__(folder)
        self.request = request

    @property
    def index(self) -> int:
        return self.request.window

    @property
    def seed(self) -> int:
        return self.request.step_seed

    @property
    def remaining_s(self) -> float:
        """Seconds left for training; stop at 0."""
        return self.request.remaining_s


class Detector:
    """Subclass it, then ``run`` the subclass. ``self.request`` tells window, seed and budget.

    A detector without training leaves out ``train``, ``load`` and ``save``.
    """

    request: Request

    def train(self, window: Window) -> None:
        """Learn from ``window``; what ``load`` brought back is where the last window ended."""
        raise KitError(f"{type(self).__name__} has no train method, but the image declares the train phase.")

    def predict(self, images: Images) -> Iterable[float]:
        """One score an image, in order, in [0, 1]; higher = more likely generated."""
        raise KitError(f"{type(self).__name__} has no predict method, and a detector must have one.")

    def load(self, state: Path) -> None:
        """Bring back what ``save`` left; not called while ``state`` is empty (before the first window)."""

    def save(self, state: Path) -> None:
        """Leave in the folder ``state`` what the next window and ``predict`` need; called after ``train``."""


class _Progress:
    """Prints at most two lines a second, and always the last one."""

    def __init__(self) -> None:
        self._last = -math.inf

    def __call__(self, fraction: float, **values: float) -> None:
        now = time.monotonic()
        if fraction < 1 and now - self._last < _PROGRESS_INTERVAL_S:
            return
        self._last = now
        print(json.dumps({"progress": round(min(fraction, 1.0), 4), **values}), flush=True)


_report = _Progress()


def progress(fraction: float, **values: float) -> None:
    """Tell the server how far this step is, in [0, 1], with further numbers if you like (``loss=0.3``)."""
    _report(fraction, **values)


def run(detector: Detector | type[Detector], argv: list[str] | None = None) -> None:
    """The main of a detector's container: one phase, then exit.

    ``argv`` is ``sys.argv[1:]`` by default. The environment variable ``TIDEMARK_BENCH`` replaces
    ``/bench``, to run without a container. Exits 1 with a sentence on standard error when the
    data, the request or the scores are wrong; errors in the detector itself keep their traceback.
    """
    try:
        _run(detector, sys.argv[1:] if argv is None else argv)
    except KitError as error:
        sys.exit(f"error: {error}")


def _run(detector: Detector | type[Detector], argv: list[str]) -> None:
    if argv not in (["train"], ["predict"]):
        raise KitError(f"{_USAGE} Given: {' '.join(argv) or 'nothing'}.")
    bench = Path(os.environ.get("TIDEMARK_BENCH", "/bench"))
    request = Request.read(bench / "request.json")
    if [request.phase] != argv:
        raise KitError(f"The argument is {argv[0]}, but request.json asks for {request.phase}.")
    _seed(request.step_seed)
    if isinstance(detector, type):
        detector = detector()
    detector.request = request
    state = bench / "state"
    if state.is_dir() and any(state.iterdir()):
        detector.load(state)
    if request.phase == "train":
        detector.train(Window(bench / "train", request))
        detector.save(state)
    else:
        images = Images(bench / "eval")
        _write_predictions(bench / "output" / "predictions.csv", images, detector.predict(images))
    progress(1.0)


def _seed(seed: int) -> None:
    random.seed(seed)
    # Whoever uses numpy has imported it by now; constant's image has none.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def _write_predictions(path: Path, images: Images, scores: Iterable[float]) -> None:
    ids = images.ids
    rows = ["image_id,score\n"]
    for position, value in enumerate(scores):
        if position == len(ids):
            raise KitError(f"predict gave more than {len(ids)} scores, one for each image.")
        score = float(value)
        if not 0 <= score <= 1:
            raise KitError(f"The score of image {ids[position]} is {score}; scores lie in [0, 1].")
        # repr keeps every bit: rounded scores tie, and ties cost AUROC.
        rows.append(f"{ids[position]},{score!r}\n")
        progress((position + 1) / len(ids))
    if len(rows) - 1 < len(ids):
        raise KitError(f"predict gave {len(rows) - 1} scores for {len(ids)} images.")
    path.write_text("".join(rows))
