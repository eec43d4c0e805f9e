"""Evaluation and training sets, and their folders as a container loads them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import datasets
import numpy as np
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from evaluator.data import datasets as our_datasets
from evaluator.data import pool
from evaluator.data.artifacts import artifact_key, built_once
from evaluator.data.encode import decode_own
from evaluator.data.evaluation import ensure_eval_set, ensure_frozen
from evaluator.data.fingerprints import content_hash
from evaluator.data.ids import Purpose, image_id
from evaluator.data.shards import Shard
from evaluator.data.staging import stage_eval, stage_train
from evaluator.data.training import ensure_training_window
from leaderboard.models import Artifact, ArtifactKind, Batch, Corpus, Unit, Window
from leaderboard.store import Store
from protocols.contract import EVAL_COLUMNS, TRAIN_COLUMNS
from protocols.degradation import degrade
from protocols.errors import PlatformError
from tests.evaluator.data.conftest import pictures, silent
from tests.evaluator.data.images import picture
from tests.evaluator.data.sets import Sets, build_sets

N = 6


@pytest.fixture
def sets(corpus: Corpus) -> Sets:
    return small_sets(corpus)


def small_sets(corpus: Corpus) -> Sets:
    fakes = {
        slug: pictures(range(100 * n, 100 * n + N), "eval")
        + pictures(range(100 * n + 50, 100 * n + 54), "train")
        for n, slug in enumerate(("gan", "diffusion"), start=1)
    }
    reals = pictures(range(2 * N), "eval") + pictures(range(50, 58), "train")
    return build_sets(corpus, fakes, reals)


@pytest.fixture
def units(sets: Sets) -> list[Unit]:
    return list(sets.units.values())


@pytest.fixture
def window(sets: Sets) -> Window:
    assert sets.window is not None
    return sets.window


def test_frozen_images_are_degraded_by_their_content(sets: Sets, objects: Store) -> None:
    for batch in Batch.objects.exclude(eval_shard=""):
        original = Shard(objects, batch.eval_shard)
        frozen = Shard(objects, ensure_frozen(batch, "v2", silent))
        assert len(frozen) == len(original)
        for row in range(len(frozen)):
            digest = frozen.content_hash(row)
            assert digest == original.content_hash(row)
            expected = degrade(decode_own(original.png(row)), digest, "v2")
            np.testing.assert_array_equal(decode_own(frozen.png(row)), expected)


def test_the_versions_of_a_degradation_are_frozen_apart(sets: Sets) -> None:
    batch = Batch.objects.get(generator__slug="gan")
    assert ensure_frozen(batch, "v2", silent) != ensure_frozen(batch, "v1-compat", silent)


def test_an_evaluation_set_loads_with_exactly_the_contract_s_columns(
    units: list[Unit], sets: Sets, tmp_path: Path
) -> None:
    eval_set = ensure_eval_set(units, silent)
    stage_eval(tmp_path / "eval", eval_set)
    loaded = datasets.load_from_disk(str(tmp_path / "eval"))
    assert tuple(loaded.column_names) == EVAL_COLUMNS
    assert loaded.features == datasets.Features(
        {"image": datasets.Image(), "image_id": datasets.Value("string")}
    )
    expected = {}
    for slug, unit in sets.units.items():
        hashes = sets.fakes[slug] + sets.reals[slug]
        ids = eval_set.image_ids(unit)
        assert ids == [image_id(h, Purpose.EVAL) for h in hashes]
        expected |= dict(zip(ids, hashes, strict=True))
    assert loaded["image_id"][:] == sorted(expected)
    assert eval_set.n_images == len(loaded) == 4 * N
    by_hash = {
        image_id_of(seed): picture(seed)
        for seed in [*range(2 * N), *range(100, 100 + N), *range(200, 200 + N)]
    }
    for row in loaded:
        digest = expected[row["image_id"]]
        pixels = degrade(by_hash[row["image_id"]], digest, "v2")
        np.testing.assert_array_equal(np.asarray(row["image"]), pixels)


def image_id_of(seed: int) -> str:

    return image_id(content_hash(picture(seed)), Purpose.EVAL)


def test_a_training_set_loads_with_labels_and_originals(window: Window, tmp_path: Path) -> None:
    train_set = ensure_training_window(window, silent)
    stage_train(tmp_path / "train", [train_set])
    loaded = datasets.load_from_disk(str(tmp_path / "train"))
    assert tuple(loaded.column_names) == TRAIN_COLUMNS
    assert loaded.features["label"] == datasets.ClassLabel(names=["real", "fake"])
    assert loaded.features == datasets.Features(
        {
            "image": datasets.Image(),
            "image_id": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["real", "fake"]),
            "generator": datasets.Value("string"),
            "window": datasets.Value("int64"),
        }
    )
    hashes = [content_hash(np.asarray(image)) for image in loaded["image"]]
    assert hashes == sorted(hashes)
    found = sorted((row["label"], row["generator"], np.asarray(row["image"]).tobytes()) for row in loaded)
    expected = [(0, "", picture(seed).tobytes()) for seed in range(50, 58)]
    for n, slug in ((1, "gan"), (2, "diffusion")):
        expected += [(1, slug, picture(100 * n + 50 + i).tobytes()) for i in range(4)]
    assert found == sorted(expected)
    assert set(loaded["window"][:]) == {3}
    assert train_set.n_images == window.n_images == 16


def test_windows_are_mounted_one_after_another(window: Window, tmp_path: Path) -> None:
    train_set = ensure_training_window(window, silent)
    stage_train(tmp_path / "train", [train_set, train_set])
    loaded = datasets.load_from_disk(str(tmp_path / "train"))
    ids = loaded["image_id"][:]
    assert len(ids) == 32
    assert ids[:16] == ids[16:]


def test_ids_of_training_and_evaluation_differ(settings: Settings) -> None:
    digest = "0" * 64
    ids = {image_id(digest, purpose) for purpose in Purpose}
    settings.IMAGE_ID_KEY = "another"
    ids |= {image_id(digest, purpose) for purpose in Purpose}
    assert len(ids) == 4
    assert all(len(i) == 32 and int(i, 16) >= 0 for i in ids)


def test_files_have_a_fixed_number_of_rows(
    units: list[Unit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_datasets, "FILE_ROWS", 10)
    stage_eval(tmp_path / "eval", ensure_eval_set(units, silent))
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == [
        "data-00000-of-00003.arrow",
        "data-00001-of-00003.arrow",
        "data-00002-of-00003.arrow",
        "dataset_info.json",
        "state.json",
    ]
    lengths = [
        len(datasets.Dataset.from_file(str(path))) for path in sorted((tmp_path / "eval").glob("*.arrow"))
    ]
    assert lengths == [10, 10, 4]
    assert len(datasets.load_from_disk(str(tmp_path / "eval"))) == 24


def test_sets_are_built_once_and_shared(units: list[Unit], window: Window) -> None:
    first = ensure_eval_set(units, silent), ensure_training_window(window, silent)
    built = list(Artifact.objects.order_by("id").values())
    again = ensure_eval_set(units[::-1], silent), ensure_training_window(window, silent)
    assert first == again
    assert list(Artifact.objects.order_by("id").values()) == built
    assert {a["size_bytes"] > 0 for a in built} == {True}


def test_other_units_or_another_key_make_another_set(units: list[Unit], settings: Settings) -> None:
    keys = {ensure_eval_set(units, silent).key, ensure_eval_set(units[:1], silent).key}
    settings.IMAGE_ID_KEY = "another"
    keys.add(ensure_eval_set(units, silent).key)
    assert len(keys) == 3


def test_a_server_with_another_key_trains_on_the_same_images_in_the_same_order(
    window: Window, settings: Settings, tmp_path: Path
) -> None:
    """Whoever runs the benchmark again elsewhere gets the same from a detector with a fixed seed."""
    stage_train(tmp_path / "here", [ensure_training_window(window, silent)])
    settings.IMAGE_ID_KEY = "another"
    stage_train(tmp_path / "there", [ensure_training_window(window, silent)])
    here, there = (datasets.load_from_disk(str(tmp_path / name)).to_dict() for name in ("here", "there"))
    assert set(here.pop("image_id")).isdisjoint(there.pop("image_id"))
    assert here == there


def test_a_lost_file_is_built_again(units: list[Unit], objects: Store) -> None:
    (file,) = ensure_eval_set(units, silent).files
    objects.delete(file)
    assert ensure_eval_set(units, silent).files == (file,)
    assert objects.exists(file)


def test_an_image_that_left_the_corpus_is_a_fault_of_ours(units: list[Unit]) -> None:
    Batch.objects.get(generator__slug="gan").images.all().delete()
    with pytest.raises(PlatformError) as caught:
        ensure_eval_set(units, silent)
    assert caught.value.code == "staging_failed"


def test_the_bytes_do_not_depend_on_the_number_of_processes(
    units: list[Unit], window: Window, objects: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for n in (1, 3):
        monkeypatch.setattr(pool, "cpus", lambda n=n: n)
        results.append((ensure_eval_set(units, silent), ensure_training_window(window, silent)))
        for files in Artifact.objects.values_list("files", flat=True):
            for file in files:
                objects.delete(file)
        Artifact.objects.all().delete()
    assert results[0] == results[1]


class Closed(Exception):  # noqa: N818 - stands for a request to stop.
    pass


def test_a_stop_in_the_middle_leaves_nothing_and_frees_the_lock(units: list[Unit], objects: Store) -> None:
    def stop(share: float, activity: str) -> None:
        if "writing" in activity:
            raise Closed

    with pytest.raises(Closed):
        ensure_eval_set(units, stop)
    assert list(objects.scratch_folder.iterdir()) == []
    assert ensure_eval_set(units, silent).n_images == 24


def test_staged_files_are_links_that_everyone_may_read(
    units: list[Unit], tmp_path: Path, objects: Store
) -> None:
    eval_set = ensure_eval_set(units, silent)
    stage_eval(tmp_path / "eval", eval_set)
    (file,) = (tmp_path / "eval").glob("*.arrow")
    assert file.samefile(objects.path(eval_set.files[0]))
    for path in [tmp_path / "eval", *(tmp_path / "eval").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o444)


def test_another_file_system_gets_copies(
    units: list[Unit], tmp_path: Path, objects: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    eval_set = ensure_eval_set(units, silent)
    elsewhere = Path("/dev/shm") / f"staging-{os.getpid()}"
    if elsewhere.parent.stat().st_dev == objects.root.stat().st_dev:
        pytest.skip("/dev/shm is on the file system of the temporary folder")
    try:
        stage_eval(elsewhere, eval_set)
        (file,) = elsewhere.glob("*.arrow")
        assert file.read_bytes() == objects.read_bytes(eval_set.files[0])
        assert file.stat().st_mtime == objects.path(eval_set.files[0]).stat().st_mtime
        assert len(datasets.load_from_disk(str(elsewhere))) == 24
    finally:
        subprocess.run(["rm", "-rf", str(elsewhere)], check=True)


def test_fingerprints_differ_with_the_images(units: list[Unit], window: Window, tmp_path: Path) -> None:
    stage_eval(tmp_path / "a", ensure_eval_set(units, silent))
    stage_eval(tmp_path / "b", ensure_eval_set(units[:1], silent))
    stage_eval(tmp_path / "c", ensure_eval_set(units, silent))
    train_set = ensure_training_window(window, silent)
    stage_train(tmp_path / "d", [train_set])
    stage_train(tmp_path / "e", [train_set, train_set])
    prints = [json.loads((tmp_path / n / "state.json").read_text())["_fingerprint"] for n in "abcde"]
    assert prints[0] == prints[2]
    assert len(set(prints)) == 4


BUILD = """
import django
django.setup()
from evaluator.data.evaluation import ensure_eval_set
from evaluator.data.training import ensure_training_window
from leaderboard.models import Unit, Window
units = list(Unit.objects.all())
silent = lambda share, activity: None
print(*ensure_eval_set(units, silent).files, *ensure_training_window(Window.objects.get(), silent).files)
"""


@pytest.fixture
def env(process_env: Mapping[str, str], home: Path, settings: Settings) -> Mapping[str, str]:
    return {
        **process_env,
        "TIDEMARK_HOME": str(home),
        "IMAGE_ID_KEY": settings.IMAGE_ID_KEY,
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
    }


@pytest.mark.processes
def test_two_processes_at_once_build_the_same_bytes_as_one(
    env: Mapping[str, str], transactional_db: None, corpus: Corpus, objects: Store
) -> None:
    sets = small_sets(corpus)
    assert sets.window is not None
    here = [
        *ensure_eval_set(list(sets.units.values()), silent).files,
        *ensure_training_window(sets.window, silent).files,
    ]
    for file in here:
        objects.delete(file)
    Artifact.objects.all().delete()
    command = [sys.executable, "-c", BUILD]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].split() for process in both] == [here, here]
    assert all(objects.exists(file) for file in here)


def test_only_one_of_many_builds(transactional_db: None, objects: Store) -> None:
    built: list[int] = []
    results: list[tuple[str, ...]] = []
    waited: list[str] = []

    def build(target: Store) -> list[str]:
        built.append(1)
        time.sleep(1)
        return [target.put_bytes(b"artifact")]

    def work() -> None:
        try:
            found = built_once(
                "a" * 64, build, lambda share, text: waited.append(text), kind=ArtifactKind.TRAIN, sources=[]
            )
            results.append(found)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert len(results) == 4
    assert len(set(results)) == 1
    assert waited


HOLD = """
import sys, django
django.setup()
from evaluator.data.artifacts import _lock
with _lock("b" * 64, print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.processes
def test_a_builder_that_is_killed_lets_go(env: Mapping[str, str], transactional_db: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        waited: list[str] = []

        def wait(share: float, activity: str) -> None:
            waited.append(activity)
            process.kill()

        built_once(
            "b" * 64,
            lambda target: [target.put_bytes(b"x")],
            wait,
            kind=ArtifactKind.TRAIN,
            sources=[],
        )
    assert waited == [waited[0]] * len(waited)
    assert Artifact.objects.filter(key="b" * 64).exists()


def test_keys_depend_on_every_part() -> None:
    assert artifact_key(kind="a", format=1) != artifact_key(kind="a", format=2)
    assert artifact_key(a=1, b=2) == artifact_key(b=2, a=1)
