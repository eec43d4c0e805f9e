"""The runner against real engines: what happens around a container, not in it."""

from __future__ import annotations

import gc
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from local.engine import podman_engine
from protocols.contract import Phase
from protocols.errors import ParticipantError, PlatformError
from sandbox.engine import connect
from sandbox.images import ensure_image
from sandbox.limits import ContainerSpec
from sandbox.outcome import outcome
from sandbox.runner import POLL_S, remove, run
from sandbox.strays import remove_strays
from tests.engines import Engines, Running, make_image
from tests.sandbox.archives import Image, layer, write_archive
from tests.sandbox.stage import INSTANCE, containers, run_quietly, stage

pytestmark = pytest.mark.container

SLEEP = "import time\nprint('{\"progress\": 0.25}', flush=True)\ntime.sleep(60)\n"


def test_progress_is_reported_once_each(engine: Running, tmp_path: Path) -> None:
    detector = """
import time
for fraction in (0.25, 0.25, 0.5):
    print('{"progress": %s, "loss": 1.5}' % fraction, flush=True)
    time.sleep(0.6)
"""
    reported: list[float] = []
    spec = stage(tmp_path / "step", engine.image_id, detector, Phase.TRAIN)
    ended = run(engine.client, engine.engine, spec, on_progress=reported.append, should_stop=lambda: None)
    assert reported == [0.25, 0.5]
    assert (ended.exit_code, ended.fault, ended.stopped) == (0, None, None)
    assert ended.duration_s > 1.5


def test_the_caller_stops_it_and_hears_its_reason(engine: Running, tmp_path: Path) -> None:
    asked: list[float] = []

    def should_stop() -> str | None:
        asked.append(time.monotonic())
        return "cancelled" if len(asked) > 3 else None

    spec = stage(tmp_path / "step", engine.image_id, SLEEP)
    ended = run(engine.client, engine.engine, spec, on_progress=lambda _: None, should_stop=should_stop)
    assert (ended.stopped, ended.fault) == ("cancelled", None)
    assert max(later - earlier for earlier, later in pairwise(asked)) < 4 * POLL_S
    assert containers(engine.client) == []


def test_it_may_write_its_last_things_when_it_is_stopped(engine: Running, tmp_path: Path) -> None:
    detector = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path("/bench/state/checkpoint").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("/bench/output/ready").touch()
time.sleep(60)
"""
    spec = stage(tmp_path / "step", engine.image_id, detector, Phase.TRAIN)
    run(
        engine.client,
        engine.engine,
        spec,
        on_progress=lambda _: None,
        should_stop=lambda: "shutdown" if (spec.output / "ready").exists() else None,
    )
    assert (spec.state / "checkpoint").read_text() == "saved"


def test_an_exception_of_the_caller_leaves_no_container(engine: Running, tmp_path: Path) -> None:
    def fail(fraction: float) -> None:
        raise RuntimeError("the database is gone")

    spec = stage(tmp_path / "step", engine.image_id, SLEEP, Phase.TRAIN)
    with pytest.raises(RuntimeError, match="the database is gone"):
        run(engine.client, engine.engine, spec, on_progress=fail, should_stop=lambda: None)
    assert containers(engine.client) == []


def test_the_log_ends_with_the_last_line_and_without_controls(engine: Running, tmp_path: Path) -> None:
    detector = r"print('x' * 30_000); print('\x00\x1b[31mlast line\u20ac')"
    ended = run_quietly(engine, stage(tmp_path / "step", engine.image_id, detector))
    assert ended.log_tail.endswith("\n[31mlast line€\n")
    assert ended.log_bytes == 30_001 + len("\0\x1b[31mlast line€\n".encode())


def test_a_predict_phase_sees_the_state_and_data_of_the_worker(engine: Running, tmp_path: Path) -> None:
    detector = "print(open('/bench/state/weights').read(), open('/bench/eval/image').read())"
    spec = stage(tmp_path / "step", engine.image_id, detector)
    (spec.state / "weights").write_text("seven")
    (spec.data / "image").write_text("pixels")
    assert run_quietly(engine, spec).log_tail == "seven pixels\n"


def test_an_entry_point_that_is_not_there(engine: Running, tmp_path: Path) -> None:
    name = "localhost/tidemark/test-entry:latest"
    image_id = make_image(engine.client, engine.image_id, name, 'ENTRYPOINT ["/no/such/program"]')
    try:
        spec = stage(tmp_path / "step", image_id, "")
        error = outcome(run_quietly(engine, spec), spec.budget)
    finally:
        engine.client.images.remove(name, force=True)
    assert isinstance(error, ParticipantError)
    assert error.code == "container_start"


@pytest.mark.parametrize(
    "image",
    [
        Image(layers=[layer({"file": ""})], settings={"WorkingDir": "/file"}),
        Image(layers=[layer({"bench": "a file where the mounts belong"})]),
    ],
    ids=["working directory", "mount point"],
)
def test_an_image_that_can_not_be_started(engine: Running, image: Image, tmp_path: Path) -> None:
    ensure_image(engine.client, write_archive(tmp_path / "image.tar", image), image.image_id)
    try:
        spec = stage(tmp_path / "step", image.image_id, "")
        error = outcome(run_quietly(engine, spec), spec.budget)
    finally:
        engine.client.images.remove(image.image_id, force=True)
    assert isinstance(error, ParticipantError)
    assert error.code == "container_start"
    assert containers(engine.client) == []


def test_an_image_with_volumes_is_refused(engine: Running, tmp_path: Path) -> None:
    name = "localhost/tidemark/test-volume:latest"
    image_id = make_image(engine.client, engine.image_id, name, "VOLUME /data")
    try:
        with pytest.raises(ParticipantError) as refusal:
            run_quietly(engine, stage(tmp_path / "step", image_id, ""))
    finally:
        engine.client.images.remove(name, force=True)
    assert refusal.value.code == "archive_volumes"
    assert engine.client.volumes.list() == []


def test_an_image_that_is_not_there(engine: Running, tmp_path: Path) -> None:
    with pytest.raises(PlatformError) as refusal:
        run_quietly(engine, stage(tmp_path / "step", "sha256:" + "0" * 64, ""))
    assert refusal.value.code == "engine_error"


# The SDK leaves a socket that it could not connect to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_dies_is_the_platforms_fault(engines: Engines, tmp_path: Path) -> None:
    folder = engines.folder / "dying"
    running = engines.get("podman")
    spec = stage(tmp_path / "step", running.image_id, SLEEP, Phase.TRAIN)
    begun = threading.Event()
    failures: list[str] = []

    def runner() -> None:
        client, engine = connect(f"unix://{folder}/podman.sock")
        try:
            run(client, engine, spec, on_progress=lambda _: begun.set(), should_stop=lambda: None)
        except PlatformError as error:
            failures.append(error.code)
        finally:
            client.close()

    thread = threading.Thread(target=runner)
    with podman_engine(folder):
        thread.start()
        assert begun.wait(30)
    thread.join(30)
    assert failures == ["engine_unavailable"]
    gc.collect()

    # The next worker finds what this one could not remove.
    assert containers(running.client) == [spec.lease.container_name]
    assert remove_strays(running.client, INSTANCE, lambda step, token: False) == [spec.lease.container_name]
    assert containers(running.client) == []


def abandoned(engine: Running, spec: ContainerSpec) -> str:
    """A container as a worker that was killed leaves it."""
    container = engine.client.containers.create(
        spec.image_id, command=["predict"], name=spec.lease.container_name, labels=spec.lease.labels
    )
    return str(container.name)


def test_only_strays_of_this_instance_are_removed(engine: Running, tmp_path: Path) -> None:
    other = engine.client.containers.create(engine.image_id, labels={"io.tidemark.instance": "other"})
    mine = [
        abandoned(engine, stage(tmp_path / f"step-{token}", engine.image_id, SLEEP, token=token))
        for token in (1, 2)
    ]
    try:
        asked: list[tuple[str, int]] = []

        def is_current(step: str, token: int) -> bool:
            asked.append((step, token))
            return token == 2

        assert remove_strays(engine.client, INSTANCE, is_current) == [mine[0]]
        assert sorted(asked) == [("step-1", 1), ("step-2", 2)]
        assert containers(engine.client) == [mine[1]]
    finally:
        remove(engine.client, mine[1])
        remove(engine.client, other.id)


def test_removing_what_is_gone_is_done(engine: Running) -> None:
    remove(engine.client, "tidemark-no-such-container")
