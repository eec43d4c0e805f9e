"""The container contract, version 1: paths, labels, the request and the bounds on what comes back.

The human text is ``docs/contract.md``; a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

VERSION = 1
LABEL_CONTRACT = "io.tidemark.contract"
LABEL_PHASES = "io.tidemark.phases"

REQUEST_PATH = "/bench/request.json"
TRAIN_PATH = "/bench/train"
EVAL_PATH = "/bench/eval"
STATE_PATH = "/bench/state"
OUTPUT_PATH = "/bench/output"
PREDICTIONS_NAME = "predictions.csv"
PREDICTIONS_HEADER = "image_id,score"
METRICS_NAME = "metrics.jsonl"

# How many files and folders a container may leave in each of its writable directories.
MAX_STATE_FILES = 10_000
MAX_OUTPUT_FILES = 100

# The features of the two datasets, in order. Nothing else is ever mounted.
TRAIN_COLUMNS = ("image", "image_id", "label", "generator", "window")
EVAL_COLUMNS = ("image", "image_id")


class Phase(StrEnum):
    TRAIN = "train"
    PREDICT = "predict"


@dataclass(frozen=True)
class Budget:
    """What one step may use. Sizes in bytes, times in seconds; ``gpus`` is a count."""

    timeout_s: float
    memory_bytes: int
    cpus: float
    pids: int
    shm_bytes: int
    tmp_bytes: int
    state_bytes: int
    output_bytes: int
    log_bytes: int
    gpus: int = 0


def _default(timeout_s: float) -> Budget:
    return Budget(
        timeout_s=timeout_s,
        memory_bytes=6 * 2**30,
        cpus=2.0,
        pids=256,
        shm_bytes=2**30,
        tmp_bytes=2**30,
        state_bytes=2 * 2**30,
        output_bytes=256 * 2**20,
        log_bytes=4 * 2**20,
    )


# What a step may use unless its benchmark says otherwise.
DEFAULT_BUDGETS = {Phase.TRAIN: _default(3600.0), Phase.PREDICT: _default(1800.0)}


@dataclass(frozen=True)
class StepRequest:
    """What the container reads at ``/bench/request.json``."""

    phase: Phase
    window: int
    seed: int
    benchmark: str
    n_images: int
    budget: Budget
    contract: int = VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)
