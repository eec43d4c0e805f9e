"""``tidemark try`` with real images, archives and containers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import ImageNotFound
from typer.testing import CliRunner, Result

from sandbox.archive import inspect_archive
from tests.engines import Engines, Running
from tests.leaderboard.factories import BenchmarkFactory
from tests.sandbox.archives import Image, members_of, write_members
from tests.sandbox.trials import Behaviour, forget_image, make_trial_image, save_image
from tidemark.cli import app

pytestmark = pytest.mark.container

NAME = "localhost/tidemark/test-try"
SMALL = ["--budget", "memory_bytes=256MiB", "--budget", "shm_bytes=8MiB", "--budget", "tmp_bytes=8MiB"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def image(podman: Running) -> Iterator[str]:
    make_trial_image(podman.client, podman.image_id, NAME)
    yield NAME
    forget_image(podman.client, NAME)


@pytest.fixture
def archive(podman: Running, engines: Engines) -> Path:
    path = engines.folder / "try.tar"
    if not path.exists():
        make_trial_image(podman.client, podman.image_id, NAME + "-saved")
        save_image(podman.client, NAME + "-saved", path)
    return path


@pytest.fixture(autouse=True)
def clean(podman: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does, no container and no file is left."""
    monkeypatch.setenv("DOCKER_HOST", podman.engine.docker_host)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    yield
    assert containers(podman) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def is_loaded(podman: Running, image_id: str) -> bool:
    try:
        podman.client.api.inspect_image(image_id)
    except ImageNotFound:
        return False
    return True


def containers(podman: Running) -> list[str]:
    return [c["Names"][0] for c in podman.client.api.containers(all=True) if "-try-" in c["Names"][0]]


def tidemark_try(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["try", *SMALL, *map(str, arguments)])


def test_a_detector_that_works_by_the_name_of_its_image(image: str) -> None:
    result = tidemark_try(image)
    assert result.exit_code == 0, result.output
    assert "train: went well in " in result.stdout
    assert "MiB of memory" in result.stdout
    assert "predict: went well in " in result.stdout
    # The log of what went well is not in the way.
    assert "train begins" not in result.stdout
    assert f"Saving {image} from podman …" in result.stderr
    assert "Checking the archive …" in result.stderr
    assert "Training: 0%" in result.stderr
    assert f"{image} passes" in result.stderr


def test_a_detector_that_works_by_its_archive(archive: Path) -> None:
    result = tidemark_try(archive, "--logs")
    assert result.exit_code == 0, result.output
    assert "train begins" in result.stdout
    assert "state: ['head', 'tool'] True" in result.stdout


def test_a_detector_that_fails_is_told_why_and_what_to_do(archive: Path) -> None:
    result = tidemark_try(archive, "--seed", int(Behaviour.FAILS_IN_TRAINING))
    assert result.exit_code == 3
    assert "train: failed in " in result.stdout
    assert "ValueError: no such layer: sample head" in result.stdout
    assert "predict" not in result.stdout
    assert "tidemark: container_exit: It ended with exit code 1" in result.stderr
    assert "read the last lines of its output" in result.stderr


def test_everything_as_json(archive: Path, podman: Running) -> None:
    image_id = inspect_archive(archive).image_id
    was_there = is_loaded(podman, image_id)
    result = tidemark_try(archive, "--seed", int(Behaviour.FORGETS_AN_IMAGE), "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert (told["passed"], told["error"]["code"]) == (False, "predictions_incomplete")
    assert told["error"]["fix"]
    assert told["image_id"] == image_id
    # An image that was not there, as after other tests it may be, was loaded for the trial alone.
    assert is_loaded(podman, image_id) == was_there
    train, predict = told["phases"]
    assert (train["phase"], train["exit_code"], train["error"]) == ("train", 0, None)
    assert train["log"].startswith("train begins\n")
    assert train["peak_memory_bytes"] > 0
    assert predict["error"]["code"] == "predictions_incomplete"


def test_what_the_check_of_the_archive_refuses(tmp_path: Path) -> None:
    path = write_members(tmp_path / "image.tar", members_of(Image(architecture="arm64"), "oci"))
    result = tidemark_try(path)
    assert result.exit_code == 3
    assert "archive_platform: The image is for linux/arm64. Build it with --platform" in result.stderr
    told = tidemark_try(path, "--json")
    assert json.loads(told.stdout)["error"]["code"] == "archive_platform"
    assert told.exit_code == 3


def test_bounds_are_the_callers(archive: Path) -> None:
    eats = ["--seed", int(Behaviour.EATS_MEMORY)]
    result = tidemark_try(archive, *eats, "--budget", "train.memory_bytes=32MiB")
    assert result.exit_code == 3
    assert "container_oom" in result.stderr


@pytest.mark.django_db(transaction=True)
def test_bounds_may_be_a_benchmarks(live_server: object, archive: Path) -> None:
    budgets = BenchmarkFactory.build().budgets
    budgets["train"] |= {"memory_bytes": 32 << 20, "shm_bytes": 1 << 20, "tmp_bytes": 1 << 20}
    BenchmarkFactory(slug="tight", budgets=budgets)
    server = ["--server", getattr(live_server, "url", "")]
    arguments = ["try", str(archive), "--seed", str(int(Behaviour.EATS_MEMORY)), "--benchmark"]
    result = CliRunner().invoke(app, [*arguments, "tight", *server])
    assert (result.exit_code, "container_oom" in result.stderr) == (3, True), result.output
    assert f"The limit is {32 << 20} bytes" in result.stderr
    missing = CliRunner().invoke(app, [*arguments, "missing", *server])
    assert missing.exit_code == 1
    assert "404" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such-image"], 1, "There is no image 'no-such-image' in podman here."),
        (["x", "--budget", "memory=1"], 2, "the bounds are timeout_s, memory_bytes"),
        (["x", "--budget", "memory_bytes=much"], 2, "write it as train.memory_bytes=8GiB"),
        (["x", "--budget", "test.memory_bytes=1"], 2, "write it as train.memory_bytes=8GiB"),
        (["x", "--budget", "gpus=2", "--gpus", "0"], 2, "It is granted 2 GPUs"),
    ],
)
def test_what_can_not_be_tried(arguments: list[str], code: int, words: str) -> None:
    result = tidemark_try(*arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, archive: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    result = tidemark_try(archive)
    assert result.exit_code == 1
    assert "does not answer" in result.stderr


def test_podman_is_started_where_no_engine_listens(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    """Its socket's path is short: the kernel allows no more than 107 bytes."""
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("sandbox.here._docker_context", list)
    monkeypatch.setattr("sandbox.here._sockets", list)
    before = set(Path("/tmp").glob("tidemark-try-*"))
    result = tidemark_try(archive)
    assert result.exit_code == 0, result.output
    assert "into podman" in result.stderr
    assert set(Path("/tmp").glob("tidemark-try-*")) <= before


def hanging(archive: Path, podman: Running) -> subprocess.Popen[str]:
    """A process of the command whose container runs and will not end."""
    # As at a terminal: where the tests run in the background, SIGINT may be ignored, and that is inherited.
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tidemark.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "try", *SMALL, str(archive)]
    command += ["--seed", str(int(Behaviour.HANGS_IN_TRAINING))]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not containers(podman):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    return process


@pytest.mark.processes
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_the_user_it_leaves_nothing(
    archive: Path, podman: Running, ending: signal.Signals
) -> None:
    process = hanging(archive, podman)
    process.send_signal(ending)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is left behind" in told


@pytest.mark.processes
def test_the_container_of_one_that_was_killed_goes_with_the_next(
    archive: Path, podman: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = hanging(archive, podman)
    process.kill()
    process.communicate()
    assert len(containers(podman)) == 1
    result = tidemark_try(archive)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("package", ["docker", "pyarrow", "backports"])
def test_what_is_missing_is_named_with_the_extra(package: str, archive: Path) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from tidemark.cli import main; main()"
    command = [sys.executable, "-c", code, "try", str(archive)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert package in done.stderr
    assert "pip install 'tidemark[try]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_django_nor_torch_is_needed(archive: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('django', 'celery', 'torch', 'datasets', 'cv2', 'leaderboard', 'evaluator', 'local'):\n"
        "    sys.modules[name] = None\n"
        "from tidemark.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "try", *SMALL, str(archive)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
