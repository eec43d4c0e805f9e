"""``manage.py import_corpus`` on a folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluator.data import imports
from leaderboard.models import Batch, Corpus, Generator, Image
from protocols.states import BatchState
from tests.evaluator.data.images import file_of, picture, png

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "small"
    files = {f"generators/gan/train/{n}.png": png(n) for n in range(8)}
    files |= {f"generators/gan/eval/{n}.png": png(n) for n in range(8, 12)}
    files |= {f"generators/diffusion/{n}.png": png(n) for n in range(20, 40)}
    files |= {f"reals/coco/{split}/{n}.jpg": file_of(picture(n), "JPEG") for split, n in SPLITS}
    files["generators/gan/train/again.png"] = png(0)
    files["generators/gan/train/page.png"] = b"<html>"
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "generators.csv").write_text(
        "slug,name,family,release_date,source,licence\n"
        "gan,A GAN,GAN,2018-01-01,somewhere,MIT\n"
        "diffusion,A diffusion model,diffusion,2022-01-01,elsewhere,\n"
    )
    (root / "corpus.json").write_text('{"slug": "small", "name": "Small", "simulated": true}')
    return root


SPLITS = [("train", n) for n in range(50, 60)] + [("eval", n) for n in range(60, 70)]


def run(folder: Path, *options: str) -> str:
    out = io.StringIO()
    call_command("import_corpus", str(folder), *options, stdout=out)
    return out.getvalue()


def test_a_corpus_is_imported_and_reported(folder: Path, tmp_path: Path) -> None:
    text = run(folder, "--report", str(tmp_path / "report.json"))
    corpus = Corpus.objects.get()
    assert (corpus.slug, corpus.name, corpus.simulated) == ("small", "Small", True)
    assert Generator.objects.get(slug="gan").licence == "MIT"
    batches = {batch.origin: batch for batch in Batch.objects.all()}
    assert {name: batch.state for name, batch in batches.items()} == dict.fromkeys(
        ("coco", "gan", "diffusion"), BatchState.SEALED
    )
    assert (batches["gan"].n_train, batches["gan"].n_eval) == (8, 4)
    assert (batches["coco"].n_train, batches["coco"].n_eval) == (10, 10)
    assert batches["diffusion"].n_train + batches["diffusion"].n_eval == 20
    assert batches["gan"].lease_token is None
    assert [(e.old, e.new) for e in batches["gan"].events.all()] == [
        ("uploading", "checking"),
        ("checking", "sealed"),
    ]
    assert "gan: 8 for training, 4 for evaluation, rejected 1 image_broken, 1 image_duplicate" in text
    assert "  train/again.png: image_duplicate: " in text
    assert "small: 3 batches imported, 0 there already, 0 failed, 0 published." in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["corpus"] == "small"
    assert [batch["origin"] for batch in report["batches"]] == ["coco", "gan", "diffusion"]
    assert {r["name"] for r in report["batches"][1]["report"]["rejected"]} == {
        "train/again.png",
        "train/page.png",
    }


def test_a_second_run_imports_nothing_and_says_so(folder: Path) -> None:
    run(folder)
    rows = list(Image.objects.values())
    text = run(folder)
    assert text.splitlines() == [
        "small: 0 batches imported, 3 there already, 0 failed, 0 published.",
        "Nothing to import.",
    ]
    assert list(Image.objects.values()) == rows


def test_publishing_can_follow(folder: Path) -> None:
    run(folder)
    assert "3 published" in run(folder, "--publish")
    assert set(Batch.objects.values_list("state", flat=True)) == {BatchState.PUBLISHED}
    assert "0 published" in run(folder, "--publish")


def test_a_new_generator_is_added(folder: Path) -> None:
    run(folder, "--publish")
    path = folder / "generators" / "new" / "eval" / "x.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(png(99))
    with (folder / "generators.csv").open("a") as table:
        table.write("new,New,GAN,2024-01-01,,\n")
    assert "1 batches imported, 3 there already, 0 failed, 1 published" in run(folder, "--publish")


def test_an_interrupted_import_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = imports.check_images

    def interrupted(batch: Batch, *args: object, **options: object) -> object:
        if batch.origin == "gan":
            raise KeyboardInterrupt
        return original(batch, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(imports, "check_images", interrupted)
        with pytest.raises(CommandError) as caught:
            run(folder)
    assert caught.value.returncode == 130
    assert "2 batches imported, 1 there already" in run(folder)
    assert Batch.objects.count() == 3


def test_an_origin_without_a_usable_image_fails_and_the_others_do_not(folder: Path) -> None:
    for path in (folder / "generators" / "gan").rglob("*.png"):
        path.write_bytes(b"broken")
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("import_corpus", str(folder), stdout=out)
    assert "gan: batch_empty" in str(caught.value)
    assert "2 batches imported, 0 there already, 1 failed" in out.getvalue()
    gan = Batch.objects.get(generator__slug="gan")
    assert (gan.state, gan.error_code) == (BatchState.REJECTED, "batch_empty")


def test_the_same_folder_can_be_two_corpora(folder: Path) -> None:
    run(folder)
    run(folder, "--corpus", "copy")
    assert (
        Image.objects.filter(corpus__slug="copy").count()
        == Image.objects.filter(corpus__slug="small").count()
    )


def test_a_changed_release_date_is_refused(folder: Path) -> None:
    run(folder)
    table = folder / "generators.csv"
    table.write_text(table.read_text().replace("2018-01-01", "2018-01-02"))
    with pytest.raises(CommandError, match="gan was released on 2018-01-02"):
        run(folder)


def test_a_wrong_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="layout of a corpus folder"):
        run(tmp_path)
