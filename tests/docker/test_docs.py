"""The examples of docs/kit.md are taken from the page and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.images import ensure_detector
from protocols.contract import Phase
from tests.docker.bench import BUDGET, read_predictions, write_evaluation, write_request, write_training
from tests.engines import Running

ROOT = Path(__file__).parents[2]
N_IMAGES = 12


def example(heading: str) -> str:
    """The Python block under a heading of the page."""
    page = (ROOT / "docs" / "kit.md").read_text()
    found = re.search(rf"^## {heading}\n.*?^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found, f"docs/kit.md has no example under {heading}"
    return found[1]


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    write_training(tmp_path / "train", N_IMAGES, window=0)
    write_evaluation(tmp_path / "eval", N_IMAGES)
    for name in ("state", "output"):
        (tmp_path / name).mkdir()
        # The container of the second test runs as the image's own user.
        (tmp_path / name).chmod(0o777)
    tmp_path.chmod(0o755)
    return tmp_path


def request(bench: Path, phase: Phase) -> None:
    write_request(bench / "request.json", phase, 0, N_IMAGES, BUDGET, seed=1)


def check(bench: Path) -> None:
    ids, scores = read_predictions(bench / "output" / "predictions.csv")
    assert ids == [f"eval-{i}" for i in range(N_IMAGES)]
    assert len(set(scores)) == N_IMAGES


def test_the_plain_example_has_at_most_twenty_lines_of_code_and_runs(bench: Path) -> None:
    source = example("A plain detector")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    (bench / "main.py").write_text(source)
    environment = os.environ | {"TIDEMARK_BENCH": str(bench), "PYTHONPATH": str(ROOT / "docker" / "kit")}
    for phase in Phase:
        request(bench, phase)
        subprocess.run([sys.executable, bench / "main.py", phase.value], env=environment, check=True)
    check(bench)


@pytest.mark.container
def test_the_lightning_example_runs(bench: Path, podman: Running) -> None:
    image = ensure_detector(podman.engine, "cifake-cnn")
    (bench / "main.py").write_text(example("A detector from a LightningModule"))
    for phase in Phase:
        request(bench, phase)
        podman.client.containers.run(
            image,
            [phase.value],
            entrypoint=["python3", "/bench/main.py"],
            volumes={str(bench): {"bind": "/bench"}},
            network_mode="none",
            ulimits=[{"Name": name, "Soft": 1024, "Hard": 1024} for name in ("nofile", "nproc")],
            environment={"HOME": "/tmp"},
            remove=True,
        )
    check(bench)
