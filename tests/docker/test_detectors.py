"""The reference detectors in the real sandbox, over two windows of synthetic images."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from local.images import DETECTORS, ensure_detector
from protocols.contract import LABEL_CONTRACT, LABEL_PHASES, Phase
from sandbox.limits import ContainerSpec, Lease
from sandbox.runner import Ended, run
from tests.docker.bench import BUDGET, read_predictions, write_evaluation, write_request, write_training
from tests.engines import Running

pytestmark = pytest.mark.container

N_TRAIN, N_EVAL = 96, 48
LEARNED = ("durall-spectrum", "cifake-cnn", "npr")
ON_TORCH = ("cifake-cnn", "npr")


class Bench:
    """One run of one detector; each phase is a container with every restriction of the sandbox."""

    def __init__(self, folder: Path, running: Running, name: str) -> None:
        self.folder = folder
        self.running = running
        reference = ensure_detector(running.engine, name)
        self.image = running.client.api.inspect_image(reference)
        self.labels = write_evaluation(folder / "eval", N_EVAL)
        for window in range(2):
            write_training(folder / f"train-{window}", N_TRAIN, window)
        self.fresh_state()

    def fresh_state(self) -> None:
        self.state = self.folder / f"state-{len(list(self.folder.glob('state-*')))}"
        self.state.mkdir()

    def step(self, phase: Phase, window: int, *, told_timeout_s: float = BUDGET.timeout_s) -> Ended:
        """Run a phase to its end; ``told_timeout_s`` is what the request says, the real limit stays."""
        self.output = self.folder / f"output-{len(list(self.folder.glob('output-*')))}"
        self.output.mkdir()
        self.progress: list[float] = []
        train = phase is Phase.TRAIN
        told = replace(BUDGET, timeout_s=told_timeout_s)
        request = self.folder / "request.json"
        write_request(request, phase, window, N_TRAIN if train else N_EVAL, told, seed=5)
        spec = ContainerSpec(
            image_id=self.image["Id"],
            phase=phase,
            data=self.folder / (f"train-{window}" if train else "eval"),
            request=request,
            state=self.state,
            output=self.output,
            budget=BUDGET,
            lease=Lease("test", self.folder.name, 1, "worker-1"),
        )
        ended = run(
            self.running.client,
            self.running.engine,
            spec,
            on_progress=self.progress.append,
            should_stop=lambda: None,
        )
        assert (ended.exit_code, ended.fault, ended.start_error) == (0, None, None), ended.log_tail
        assert self.progress == sorted(self.progress)
        assert '"progress": 1.0' in ended.log_tail
        return ended

    @property
    def predictions(self) -> bytes:
        return (self.output / "predictions.csv").read_bytes()

    def auroc(self) -> float:
        ids, scores = read_predictions(self.output / "predictions.csv")
        assert ids == [f"eval-{i}" for i in range(N_EVAL)]
        return float(roc_auc_score(self.labels, scores))

    def weights(self) -> NDArray[np.float64]:
        """All numbers of the state in one vector."""
        if (self.state / "model.npz").exists():
            with np.load(self.state / "model.npz") as saved:
                return np.concatenate([saved[name] for name in sorted(saved)])
        # torch is not installed here; its files are zip archives of the tensors' bytes.
        with zipfile.ZipFile(self.state / "weights.pt") as archive:
            names = sorted(name for name in archive.namelist() if "/data/" in name)
            tensors = [np.frombuffer(archive.read(name), np.float32) for name in names]
        return np.concatenate(tensors).astype(np.float64)


@pytest.fixture
def make_bench(tmp_path: Path, podman: Running) -> Callable[[str], Bench]:
    return lambda name: Bench(tmp_path, podman, name)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_image_declares_its_contract_and_no_root(make_bench: Callable[[str], Bench], name: str) -> None:
    config = make_bench(name).image["Config"]
    assert config["Labels"][LABEL_CONTRACT] == "1"
    assert config["Labels"][LABEL_PHASES] == ("train,predict" if name in LEARNED else "predict")
    assert config["User"] == "10001"


def test_constant_gives_one_half_to_all(make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench("constant")
    bench.step(Phase.PREDICT, 0)
    assert set(read_predictions(bench.output / "predictions.csv")[1]) == {0.5}
    assert bench.auroc() == 0.5


@pytest.mark.parametrize("name", LEARNED)
def test_two_windows(make_bench: Callable[[str], Bench], name: str) -> None:
    """It learns; the same seed gives the same bytes; the second window goes on where the first ended."""
    bench = make_bench(name)
    bench.step(Phase.TRAIN, 0)
    bench.step(Phase.PREDICT, 0)
    first = bench.predictions
    assert bench.auroc() > 0.9

    bench.fresh_state()
    bench.step(Phase.TRAIN, 0)
    before = bench.weights()
    bench.step(Phase.PREDICT, 0)
    assert bench.predictions == first

    bench.step(Phase.TRAIN, 1)
    moved = np.linalg.norm(bench.weights() - before) / np.linalg.norm(before)
    # Another initialisation would lie further away than the weights are long.
    assert 0 < moved < 0.5
    bench.step(Phase.PREDICT, 1)
    assert bench.predictions != first
    assert bench.auroc() > 0.9


@pytest.mark.parametrize("name", LEARNED)
def test_training_stops_in_time_and_keeps_what_it_has(make_bench: Callable[[str], Bench], name: str) -> None:
    bench = make_bench(name)
    # The first window's share of time is up when the imports are done.
    ended = bench.step(Phase.TRAIN, 0, told_timeout_s=0.5)
    assert "Out of time" in ended.log_tail
    bench.step(Phase.PREDICT, 0)


@pytest.mark.parametrize("name", LEARNED)
def test_nothing_is_left_to_compile_at_the_start(podman: Running, name: str) -> None:
    """The root is read-only, so what the image does not hold compiled is compiled at every start."""
    imports = "torch, lightning, tidemark_kit.lightning" if name in ON_TORCH else "sklearn.linear_model, PIL"
    script = (
        f"import os, sys, {imports}; "
        "loaded = [m.__spec__ for m in sys.modules.values() if getattr(m, '__spec__', None)]; "
        "late = [s.name for s in loaded if s.cached and not os.path.exists(s.cached)]; "
        "sys.exit(f'{len(late)} of {len(loaded)}: {late[:9]}' if late else None)"
    )
    podman.client.containers.run(
        ensure_detector(podman.engine, name),
        ["-B", "-c", script],
        entrypoint="python3",
        network_mode="none",
        ulimits=[{"Name": limit, "Soft": 1024, "Hard": 1024} for limit in ("nofile", "nproc")],
        remove=True,
    )
