"""``manage.py import_aigenbench`` on small datasets of the official shape."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from django.core.management import CommandError, call_command

from evaluator.data import imports
from evaluator.data.aigenbench import GENERATORS
from evaluator.data.fingerprints import content_hash
from leaderboard.models import Batch, Benchmark, Image
from leaderboard.store import store
from protocols.states import BatchState
from tests.evaluator.data.images import file_of, picture
from tests.protocols.reference import window_plan

pytestmark = pytest.mark.django_db

SOURCES = ("COCO", "LAION-400M", "RAISE")
NAMES = [name for name, _, _ in GENERATORS]


def seed_of(split: str, row: int) -> int:
    return row + (100_000 if split == "validation" else 0)


def small(split: str, row: int) -> Any:
    return picture(seed_of(split, row), 32, 32)


def release(folder: Path, train: Sequence[str], validation: Sequence[str], first: int = 0) -> Path:
    """A release whose rows have these generators ("" for a real), in order; ``first`` picks the images."""

    def table(split: str, generators: Sequence[str]) -> datasets.Dataset:
        n = len(generators)
        columns = {
            "image": [{"bytes": file_of(small(split, first + row)), "path": None} for row in range(n)],
            "height": [32] * n,
            "width": [32] * n,
            "label": [int(bool(g)) for g in generators],
            "generator": list(generators),
            "file_id": [f"{split}-{row}" for row in range(n)],
            "description": [""] * n,
            "positive_prompt": [""] * n,
            "negative_prompt": [""] * n,
            "conditioning": [""] * n,
            "origin_dataset": [
                SOURCES[row % 3] if not g else "Somewhere" for row, g in enumerate(generators)
            ],
            "paired_real_images": [[] for _ in generators],
        }
        features = datasets.Features(
            {
                name: datasets.Value("int64" if name in ("height", "width", "label") else "string")
                for name in columns
            }
        )
        features["image"] = datasets.Image()
        features["paired_real_images"] = datasets.List(datasets.Value("string"))
        return datasets.Dataset.from_dict(columns, features=features)

    both = {"train": table("train", train), "validation": table("validation", validation)}
    datasets.DatasetDict(both).save_to_disk(str(folder))
    return folder


def mixed(n_generators: int) -> list[str]:
    """Rows of the first generators among reals, no two alike beside each other."""
    return [name for g in NAMES[:n_generators] for name in ("", g, g, "")]


def run(folder: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("import_aigenbench", str(folder), *options, stdout=out)
    return out.getvalue()


def rows(split: str) -> list[tuple[str, str]]:
    images = Image.objects.filter(split=split).order_by("id")
    return [(h, name or "") for h, name in images.values_list("content_hash", "batch__generator__name")]


def expected(split: str, generators: Sequence[str]) -> list[tuple[str, str]]:
    return [(content_hash(small(split, row)), name) for row, name in enumerate(generators)]


def test_rows_keep_their_order_across_batches(tmp_path: Path) -> None:
    generators = mixed(5)
    text = run(release(tmp_path / "r", generators, generators))
    assert rows("train") == expected("train", generators)
    assert rows("eval") == expected("validation", generators)
    assert "8 batches imported" in text
    assert set(Batch.objects.values_list("state", flat=True)) == {BatchState.PUBLISHED}
    assert set(Batch.objects.exclude(real_source="").values_list("real_source", flat=True)) == {
        "coco",
        "laion-400m",
        "raise",
    }
    edition = Benchmark.objects.get(slug="ai-genbench").editions.get()
    assert [sorted(w.generators.values_list("name", flat=True)) for w in edition.windows.all()] == [
        sorted(NAMES[:4])
    ]
    assert edition.benchmark.degradation == "v2"


def test_a_second_run_imports_nothing(tmp_path: Path) -> None:
    folder = release(tmp_path / "r", mixed(4), mixed(4))
    run(folder, "--degradation", "v1-compat")
    before = list(Image.objects.order_by("id").values())
    assert "Nothing to import." in run(folder)
    assert list(Image.objects.order_by("id").values()) == before
    assert Benchmark.objects.get().degradation == "v1-compat"
    assert Benchmark.objects.get().editions.count() == 1


def test_an_interrupted_import_goes_on_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generators = mixed(4)
    folder = release(tmp_path / "r", generators, generators)
    original = imports.check_images

    def interrupted(batch: Batch, *args: object, **options: object) -> object:
        if batch.origin == "progan":
            raise KeyboardInterrupt
        return original(batch, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(imports, "check_images", interrupted)
        with pytest.raises(CommandError):
            run(folder)
    assert 0 < Image.objects.count() < 32
    assert not Benchmark.objects.exists()
    run(folder)
    assert rows("train") == expected("train", generators)
    assert rows("eval") == expected("validation", generators)


def test_another_release_is_not_mixed_in(tmp_path: Path) -> None:
    run(release(tmp_path / "a", mixed(4), mixed(4)))
    others = release(tmp_path / "b", mixed(4), mixed(4), first=1000)
    with pytest.raises(CommandError, match="not imported from this release"):
        run(others)


def test_rows_that_contradict_the_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"train\[1\] has the label 1 and the generator 'Unheard Of'"):
        run(release(tmp_path / "r", ["", "Unheard Of"], [""]))


def test_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no dataset on disk"):
        run(tmp_path)
    datasets.Dataset.from_dict({"label": [0]}).save_to_disk(str(tmp_path / "one"))
    with pytest.raises(CommandError, match="no DatasetDict"):
        run(tmp_path / "one")
    parts = {name: datasets.Dataset.from_dict({"label": [0]}) for name in ("train", "validation")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "two"))
    with pytest.raises(CommandError, match="lacks generator, image, origin_dataset"):
        run(tmp_path / "two")


@pytest.mark.shared
def test_the_official_plan_comes_out(tmp_path: Path) -> None:
    plan = window_plan()
    assert {name: day for name, day, _ in GENERATORS} == plan["release_dates"]
    run(release(tmp_path / "r", plan["train_generator"], plan["validation_generator"]))
    edition = Benchmark.objects.get().editions.get()
    windows = list(edition.windows.all())
    names = [sorted(window.generators.values_list("name", flat=True)) for window in windows]
    assert names == [sorted(window) for window in plan["windows"]]
    row_of = {content_hash(small("train", row)): row for row in range(len(plan["train_generator"]))}
    for window, official in zip(windows, plan["train_windows_continual_learning"], strict=True):
        manifest = store().read_json(window.manifest)
        assert sorted(row_of[digest] for digest, _, _ in manifest["rows"]) == sorted(official)
    row_of = {content_hash(small("validation", row)): row for row in range(len(plan["validation_generator"]))}
    paired = {}
    for unit in edition.benchmark.units.select_related("generator"):
        for digest in store().read_json(unit.manifest)["reals"]:
            paired[str(row_of[digest])] = unit.generator.name
    assert paired == plan["validation_real_to_generator"]
