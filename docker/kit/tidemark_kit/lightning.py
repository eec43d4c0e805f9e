"""A detector from a LightningModule: training, weights carried from window to window, scores."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tidemark_kit.data import Images
from tidemark_kit.detector import Detector, Window, progress
from tidemark_kit.variants import N_VARIANTS, variant

Preprocess = Callable[[Image, np.random.Generator | None], Tensor]
_WEIGHTS = "weights.pt"


def pixels(image: Image) -> Tensor:
    """A PIL image as float32 [3, height, width] in [0, 1]."""
    return torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1) / 255


class LightningDetector(Detector):
    """Trains what ``module`` makes, with a fresh optimiser every window, and scores with it.

    The module maps images [N, 3, H, W] to logits [N] or [N, 1] (``forward``), and its
    ``training_step`` takes the pair (images, labels float32 [N]). ``preprocess`` turns a PIL image
    into a float tensor [3, H, W]; it gets a random generator of numpy when training, for flips and
    crops, and None when predicting. Its results may differ in size: a training batch is cut to the
    smallest around the centre, and images are scored in groups of one size.

    An epoch shows every image once, degraded as one of the four variants of the protocol, chosen
    at random. Training takes ``epochs``, or more until ``min_steps`` batches are seen, and stops
    in time for the step's limit. The same seed gives the same scores on a CPU.
    ``precision`` is Lightning's, for training on GPUs (``"bf16-mixed"``); scores are always
    computed in float32, for coarser ones tie.
    """

    def __init__(
        self,
        module: Callable[[], lightning.LightningModule],
        preprocess: Preprocess,
        *,
        epochs: int = 1,
        min_steps: int = 0,
        batch_size: int = 32,
        precision: str = "32-true",
    ) -> None:
        self._make_module = module
        self._preprocess = preprocess
        self._epochs = epochs
        self._min_steps = min_steps
        self._batch_size = batch_size
        self._precision = precision
        self._weights: dict[str, Tensor] | None = None

    def load(self, state: Path) -> None:
        self._weights = torch.load(state / _WEIGHTS, map_location="cpu", weights_only=True)

    def save(self, state: Path) -> None:
        torch.save(self._weights, state / _WEIGHTS)

    def train(self, window: Window) -> None:
        module = self._prepared_module()
        loader = self._loader(
            _TrainingSet(window, self._preprocess), _Draws(len(window), window.seed), _cut_and_stack
        )
        epochs = max(self._epochs, math.ceil(self._min_steps / len(loader)))
        report = _Report(epochs * len(loader))
        trainer = lightning.Trainer(
            accelerator="auto",
            devices=1,
            precision=self._precision,
            deterministic="warn",
            max_epochs=epochs,
            max_time={"seconds": window.remaining_s},
            callbacks=[report],
            default_root_dir=tempfile.gettempdir(),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)
        if trainer.global_step < report.n_steps:
            print(f"Out of time: stopped after {trainer.global_step} of {report.n_steps} steps.", flush=True)
        self._weights = {name: value.cpu() for name, value in module.state_dict().items()}

    def predict(self, images: Images) -> Iterator[float]:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        module = self._prepared_module().to(device).eval()
        for batch in self._loader(_EvaluationSet(images, self._preprocess), None, list):
            with torch.inference_mode():
                yield from _scores(module, batch, device)

    def _prepared_module(self) -> lightning.LightningModule:
        _quieten()
        # A container sees all cores of its host and may use a few of them; the number of threads
        # also decides the order of additions, so it must not depend on the host.
        torch.set_num_threads(max(1, round(self.request.cpus)))
        lightning.seed_everything(self.request.step_seed, workers=True, verbose=False)
        module = self._make_module()
        if self._weights is not None:
            module.load_state_dict(self._weights)
        return module

    def _loader(self, data: Dataset[Any], sampler: Sampler[Any] | None, collate: Any) -> DataLoader[Any]:
        # Without a GPU the network itself keeps every core busy.
        workers = max(1, round(self.request.cpus)) if torch.cuda.is_available() else 0
        return DataLoader(
            data,
            batch_size=self._batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=workers > 0,
        )


class _Draws(Sampler[tuple[int, int]]):
    """Every position once an epoch in random order, each with a seed for its variant, flip and crop.

    Seeds travel with the positions, so that results do not depend on the number of loader processes.
    """

    def __init__(self, n_images: int, seed: int) -> None:
        self._n_images = n_images
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self._n_images

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for position in self._rng.permutation(self._n_images):
            yield int(position), int(self._rng.integers(2**63))


class _TrainingSet(Dataset[tuple[Tensor, float]]):
    def __init__(self, window: Window, preprocess: Preprocess) -> None:
        self._window = window
        self._preprocess = preprocess

    def __getitem__(self, draw: tuple[int, int]) -> tuple[Tensor, float]:
        position, seed = draw
        rng = np.random.default_rng(seed)
        sample = self._window[position]
        degraded = variant(sample.image, int(rng.integers(N_VARIANTS)))
        return self._preprocess(degraded, rng), float(sample.label or 0)


class _EvaluationSet(Dataset[Tensor]):
    def __init__(self, images: Images, preprocess: Preprocess) -> None:
        self._images = images
        self._preprocess = preprocess

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> Tensor:
        return self._preprocess(self._images[position].image, None)


def _cut_and_stack(samples: list[tuple[Tensor, float]]) -> tuple[Tensor, Tensor]:
    """Images [N, 3, H, W], cut around their centres to the smallest height and width; labels [N]."""
    height = min(image.shape[1] for image, _ in samples)
    width = min(image.shape[2] for image, _ in samples)
    cut = []
    for image, _ in samples:
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        cut.append(image[:, top : top + height, left : left + width])
    return torch.stack(cut), torch.tensor([label for _, label in samples])


def _scores(module: lightning.LightningModule, batch: list[Tensor], device: torch.device) -> list[float]:
    """The scores of images that may differ in size, in order."""
    groups: dict[torch.Size, list[int]] = {}
    for position, image in enumerate(batch):
        groups.setdefault(image.shape, []).append(position)
    scores = [math.nan] * len(batch)
    for positions in groups.values():
        logits = module(torch.stack([batch[position] for position in positions]).to(device))
        # In float32 the sigmoid is 1 from logit 17 on, and confident images would tie.
        values = torch.sigmoid(logits.double()).reshape(len(positions)).tolist()
        for position, score in zip(positions, values, strict=True):
            scores[position] = score
    return scores


class _Report(lightning.Callback):
    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        progress(trainer.global_step / (self.n_steps + 1), loss=float(outputs["loss"]))


def _quieten() -> None:
    """Lightning's advice is for interactive use; a step's log is for what went wrong."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
