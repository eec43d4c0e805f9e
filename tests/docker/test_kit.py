"""The kit's plain path, run in this process over a real dataset directory."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import tidemark_kit.request
from PIL import Image
from tidemark_kit import Detector, Images, Window, run
from tidemark_kit.variants import N_VARIANTS, variant

from protocols.contract import EVAL_COLUMNS, TRAIN_COLUMNS, Phase
from tests.docker.bench import (
    BUDGET,
    read_predictions,
    write_evaluation,
    write_request,
    write_training,
)

N_TRAIN, N_EVAL = 12, 9
Step = Callable[..., None]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("state", "output"):
        (tmp_path / name).mkdir()
    write_training(tmp_path / "train", N_TRAIN, window=0)
    write_evaluation(tmp_path / "eval", N_EVAL)
    monkeypatch.setenv("TIDEMARK_BENCH", str(tmp_path))
    return tmp_path


@pytest.fixture
def step(bench: Path) -> Step:
    """Run one phase of a detector as its container would."""

    def run_step(detector: Detector | type[Detector], phase: Phase, window: int = 0, seed: int = 7) -> None:
        write_request(bench / "request.json", phase, window, N_TRAIN, BUDGET, seed)
        run(detector, [phase.value])

    return run_step


class Mean(Detector):
    """Scores an image by its brightness relative to the mean of all windows."""

    means: list[float] = []

    def train(self, window: Window) -> None:
        self.means = [*self.means, float(np.mean([np.asarray(s.image).mean() for s in window]))]

    def predict(self, images: Images) -> Iterable[float]:
        return [1 / (1 + math.exp(-np.asarray(s.image).mean() + self.means[-1])) for s in images]

    def save(self, state: Path) -> None:
        (state / "means.json").write_text(json.dumps(self.means))

    def load(self, state: Path) -> None:
        self.means = json.loads((state / "means.json").read_text())


def test_a_plain_detector_trains_two_windows_and_predicts(bench: Path, step: Step) -> None:
    step(Mean, Phase.TRAIN, window=0)
    step(Mean, Phase.TRAIN, window=1)
    assert len(json.loads((bench / "state" / "means.json").read_text())) == 2
    step(Mean, Phase.PREDICT, window=1)
    ids, scores = read_predictions(bench / "output" / "predictions.csv")
    assert ids == [f"eval-{i}" for i in range(N_EVAL)]
    assert len(set(scores)) == N_EVAL


def test_scores_keep_every_bit(bench: Path, step: Step) -> None:
    values = [random.Random(i).random() for i in range(N_EVAL)]

    class Given(Detector):
        def predict(self, images: Images) -> Iterable[float]:
            return np.array(values)

    step(Given, Phase.PREDICT)
    assert read_predictions(bench / "output" / "predictions.csv")[1] == values


def test_images_are_what_load_from_disk_gives(bench: Path) -> None:
    request = tidemark_kit.request.Request("train", 0, 7, N_TRAIN, 300.0, 2, 0)
    window = Window(bench / "train", request)
    official = datasets.load_from_disk(str(bench / "train"))
    assert tuple(official.column_names) == TRAIN_COLUMNS
    assert len(window) == len(official) == N_TRAIN
    for sample, row in zip(window, official, strict=True):
        assert (sample.image_id, sample.label) == (row["image_id"], row["label"])
        assert (sample.generator, sample.window) == (row["generator"], row["window"])
        assert np.array_equal(np.asarray(sample.image), np.asarray(row["image"]))
    assert window.labels == official["label"][:]


def test_evaluation_images_span_files_and_have_no_label(bench: Path) -> None:
    images = Images(bench / "eval")
    assert len(list((bench / "eval").glob("*.arrow"))) == 3
    assert [s.image_id for s in images] == images.ids == [f"eval-{i}" for i in range(N_EVAL)]
    assert tuple(datasets.load_from_disk(str(bench / "eval")).column_names) == EVAL_COLUMNS
    assert (images[0].label, images[0].generator, images[0].window) == (None, None, None)
    assert images[-1] == images[N_EVAL - 1]
    assert list(images[1:3]) == [images[1], images[2]]
    with pytest.raises(IndexError):
        images[N_EVAL]


def test_progress_is_printed_as_json_and_ends_with_one(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    step(Mean, Phase.TRAIN)
    capsys.readouterr()
    step(Mean, Phase.PREDICT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fractions = [line["progress"] for line in lines]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    # Nine images in a moment must not make nine lines.
    assert len(fractions) <= 4


class Scores(Detector):
    """Predicts whatever the class attribute says."""

    given: Sequence[Any] = ()

    def predict(self, images: Images) -> Iterable[float]:
        return self.given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.5] * (N_EVAL - 1), f"{N_EVAL - 1} scores for {N_EVAL} images"),
        ([0.5] * (N_EVAL + 1), f"more than {N_EVAL} scores"),
        ([0.5] * 3 + [math.nan] * 6, "eval-3 is nan"),
        ([1.5] * N_EVAL, "eval-0 is 1.5"),
    ],
)
def test_wrong_scores_are_explained_and_not_written(
    bench: Path, step: Step, given: list[float], message: str
) -> None:
    detector = Scores()
    detector.given = given
    with pytest.raises(SystemExit, match=message):
        step(detector, Phase.PREDICT)
    assert not (bench / "output" / "predictions.csv").exists()


def test_a_detector_without_training_says_so(step: Step) -> None:
    with pytest.raises(SystemExit, match="Scores has no train method"):
        step(Scores, Phase.TRAIN)


def test_a_detector_that_scores_nothing_says_so(step: Step) -> None:
    with pytest.raises(SystemExit, match="Detector has no predict method"):
        step(Detector, Phase.PREDICT)


@pytest.mark.parametrize("argv", [[], ["fit"], ["train", "predict"]])
def test_the_argument_is_checked(bench: Path, argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="One argument is needed"):
        run(Mean, argv)


def test_the_argument_must_agree_with_the_request(bench: Path) -> None:
    write_request(bench / "request.json", Phase.TRAIN, 0, N_TRAIN, BUDGET, 7)
    with pytest.raises(SystemExit, match=r"argument is predict, but request\.json asks for train"):
        run(Mean, ["predict"])


def test_a_missing_request_and_a_missing_dataset_are_named(bench: Path, step: Step) -> None:
    with pytest.raises(SystemExit, match=r"request\.json is missing"):
        run(Mean, ["train"])
    (bench / "train" / "state.json").unlink()
    with pytest.raises(SystemExit, match=r"train holds no dataset"):
        step(Mean, Phase.TRAIN)


def test_another_contract_is_refused(bench: Path) -> None:
    write_request(bench / "request.json", Phase.TRAIN, 0, N_TRAIN, BUDGET, 7)
    fields = json.loads((bench / "request.json").read_text()) | {"contract": 2}
    (bench / "request.json").write_text(json.dumps(fields))
    with pytest.raises(SystemExit, match="speaks contract 2"):
        run(Mean, ["train"])


def test_random_numbers_follow_seed_and_window(step: Step) -> None:
    drawn: list[tuple[float, float]] = []

    class Draws(Detector):
        def train(self, window: Window) -> None:
            drawn.append((random.random(), np.random.random()))

    for window, seed in ((0, 7), (0, 7), (1, 7), (0, 8)):
        step(Draws, Phase.TRAIN, window=window, seed=seed)
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_training_time_keeps_a_reserve(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = tidemark_kit.request.time.monotonic()
    monkeypatch.setattr(tidemark_kit.request, "_STARTED", now - 60)
    write_request(bench / "request.json", Phase.TRAIN, 0, N_TRAIN, replace(BUDGET, timeout_s=100), 7)
    remaining_s = tidemark_kit.request.Request.read(bench / "request.json").remaining_s
    assert 15 < remaining_s <= 20
    monkeypatch.setattr(tidemark_kit.request, "_STARTED", now - 99)
    assert tidemark_kit.request.Request.read(bench / "request.json").remaining_s == 0


def plain_with_a_mark(mark: int) -> Image.Image:
    """A reddish picture whose first pixel alone tells it from the others."""
    pixels = np.full((40, 30, 3), (250, 10, 10), np.uint8)
    pixels[0, 0] = (*divmod(mark, 256), 0)
    return Image.fromarray(pixels)


def test_variants_are_four_deterministic_and_drawn_as_the_evaluation_is() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    assert variant(image, 0) is image
    copies = [np.asarray(variant(image, n)) for n in range(N_VARIANTS)]
    again = [np.asarray(variant(image.copy(), n)) for n in range(N_VARIANTS)]
    assert all(np.array_equal(one, other) for one, other in zip(copies, again, strict=True))
    assert all(copy.shape == (40, 30, 3) for copy in copies)

    images = [plain_with_a_mark(i) for i in range(600)]
    numbers = [1 + i % 3 for i in range(600)]
    many = [np.asarray(variant(image, number)) for image, number in zip(images, numbers, strict=True)]
    untouched = np.mean([np.array_equal(copy, image) for copy, image in zip(many, images, strict=True)])
    # Neither grey (.9) nor JPEG (.35) nor noise (.7).
    assert untouched == pytest.approx(0.9 * 0.35 * 0.7, abs=0.05)
    # Greyscale, give or take what JPEG and noise do to it.
    greys = [copy.mean((0, 1)) for copy in many]
    assert np.mean([np.ptp(channels) < 100 for channels in greys]) == pytest.approx(0.1, abs=0.04)
    # The number draws too: the second variant of a picture is not its first once more.
    assert not all(np.array_equal(variant(image, 1), variant(image, 2)) for image in images[:20])
