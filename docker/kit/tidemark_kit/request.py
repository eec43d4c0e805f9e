"""What the server asks of this container: ``/bench/request.json``, contract version 1."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

# The wall clock of a step starts with the container; the kit is imported a moment later.
_STARTED = time.monotonic()
# Imports, saving and the end of the process need their share of the limit too.
_TRAINING_SHARE = 0.8


class KitError(Exception):
    """Something the detector's author can put right; ``run`` prints it without a traceback."""


@dataclass(frozen=True)
class Request:
    """One step: ``phase`` is train or predict, and ``window`` counts from 0.

    ``timeout_s`` is the step's wall-clock limit; ``cpus`` and ``gpus`` are what it may use.
    """

    phase: str
    window: int
    seed: int
    n_images: int
    timeout_s: float
    cpus: float
    gpus: int

    @classmethod
    def read(cls, path: Path) -> Request:
        """Read the request; raise :class:`KitError` if the file is missing or of another contract."""
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            raise KitError(
                f"{path} is missing. The server puts it there; see docs/kit.md to run by hand."
            ) from None
        if fields.get("contract") != 1:
            raise KitError(f"{path} speaks contract {fields.get('contract')}; this kit speaks contract 1.")
        budget = fields["budget"]
        return cls(
            phase=fields["phase"],
            window=fields["window"],
            seed=fields["seed"],
            n_images=fields["n_images"],
            timeout_s=budget["timeout_s"],
            cpus=budget["cpus"],
            gpus=budget["gpus"],
        )

    @property
    def step_seed(self) -> int:
        """A seed in [0, 2³²) for this window of this run, so that windows are shuffled differently."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{self.window}".encode()).digest()[:4])

    @property
    def remaining_s(self) -> float:
        """Seconds left for training, with a fifth of the limit kept back for saving; never negative."""
        return max(0.0, self.timeout_s * _TRAINING_SHARE - (time.monotonic() - _STARTED))
