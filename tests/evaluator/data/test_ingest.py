"""Batches of images on their way into the corpus."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from evaluator.data import pool
from evaluator.data.alignment import NEAR
from evaluator.data.encode import decode_own
from evaluator.data.fingerprints import content_hash
from evaluator.data.ingest import EVAL_SHARE, ingest, stable_split
from evaluator.data.shards import Shard, places
from evaluator.data.sources import SourceFile, split_from_path
from leaderboard.models import Artifact, Batch, Corpus, Image, Split
from leaderboard.services.corpora import batch_seal
from leaderboard.services.moves import move
from leaderboard.store import Store
from protocols.errors import DataError, PlatformError, RequestError
from tests.evaluator.data.conftest import pictures, silent, take
from tests.evaluator.data.images import file_of, picture, png

NewBatch = Callable[[str], Batch]


def scratch_files(objects: Store) -> list[Path]:
    return list(objects.scratch_folder.iterdir())


def test_rows_shards_and_batch_agree(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")
    files = [SourceFile(f"{seed}.png", png(seed), "eval" if seed % 3 == 0 else "train") for seed in range(20)]
    report = take(batch, files)
    batch.refresh_from_db()
    assert (batch.n_train, batch.n_eval) == (report.n_train, report.n_eval) == (13, 7)
    assert batch.report == report.to_json()
    images = list(batch.images.order_by("id"))
    assert [image.content_hash for image in images] == [content_hash(picture(seed)) for seed in range(20)]
    shards = {Split.TRAIN: Shard(objects, batch.train_shard), Split.EVAL: Shard(objects, batch.eval_shard)}
    for seed, image in enumerate(images):
        shard = shards[Split(image.split)]
        assert shard.content_hash(image.shard_row) == image.content_hash
        np.testing.assert_array_equal(decode_own(shard.png(image.shard_row)), picture(seed))
        assert (image.width, image.height, image.source_format) == (64, 48, "PNG")
        assert image.source_bytes == len(png(seed))
    manifest = objects.read_json(batch.manifest_hash)
    assert manifest["eval"] == [image.content_hash for image in images if image.split == "eval"]
    assert len(manifest["train"]) == 13
    assert scratch_files(objects) == []


def test_every_rejection_has_its_reason(fake_batch: NewBatch) -> None:
    frames = [PillowImage.fromarray(picture(seed)) for seed in (1, 2)]
    files = [
        SourceFile("good.png", png(0), "train"),
        SourceFile("again.bmp", file_of(picture(0), "BMP"), "eval"),
        SourceFile("page.png", b"<html>", "train"),
        SourceFile("cut.png", png(3)[:-100], "train"),
        SourceFile("film.gif", file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), "train"),
        SourceFile("dot.png", file_of(picture(4, 8, 8)), "train"),
        SourceFile("gone.png", Path("/nonexistent/gone.png"), "train"),
        SourceFile("pipe.png", Path("/dev/zero"), "train"),
        SourceFile("last.png", png(5), "eval"),
    ]
    report = take(fake_batch("gan"), files)
    assert (report.n_files, report.n_train, report.n_eval) == (9, 1, 1)
    assert [(r.name, r.code) for r in report.rejected] == [
        ("again.bmp", "image_duplicate"),
        ("page.png", "image_broken"),
        ("cut.png", "image_broken"),
        ("film.gif", "image_animated"),
        ("dot.png", "image_too_small"),
        ("gone.png", "image_broken"),
        ("pipe.png", "image_broken"),
    ]
    assert report.n_rejected == {
        "image_duplicate": 1,
        "image_broken": 4,
        "image_animated": 1,
        "image_too_small": 1,
    }
    assert "No such file" in report.rejected[5].detail


def test_pixels_that_another_batch_brought_are_duplicates(fake_batch: NewBatch, real_batch: NewBatch) -> None:
    take(real_batch("coco"), pictures(range(5), "train"))
    report = take(fake_batch("gan"), pictures(range(3, 8), "eval"))
    assert [r.name for r in report.rejected] == ["3.png", "4.png"]
    assert report.n_eval == 3


def test_near_duplicates_are_kept_and_told_by_where_they_are(
    fake_batch: NewBatch, real_batch: NewBatch
) -> None:
    coco, pets = real_batch("coco"), real_batch("pets")
    take(coco, pictures([1, 2, 3], "train"))
    take(pets, pictures([4], "eval"))
    move(coco, "checking")
    batch_seal(coco)
    move(coco, "published")
    copies = {
        seed: file_of(PillowImage.fromarray(picture(seed)).crop((3, 0, 64, 48)), "JPEG", quality=60)
        for seed in (2, 3, 4, 7)
    }
    files = [
        *pictures([7, 8], "train"),
        SourceFile("3.jpg", copies[3], "train"),
        SourceFile("2.jpg", copies[2], "eval"),
        SourceFile("4.jpg", copies[4], "eval"),
        SourceFile("7.jpg", copies[7], "eval"),
    ]
    report = take(fake_batch("gan"), files)
    assert (report.n_train, report.n_eval, report.n_near_duplicates) == (3, 3, 4)
    assert report.n_near == {"batch": 1, "published": 2, "corpus": 1, "across": 2}
    listed = [
        (near.name, near.split, near.place, near.other, near.other_split, near.other_origin)
        for near in report.near_duplicates
    ]
    hashes = {seed: content_hash(picture(seed)) for seed in (2, 3, 4, 7)}
    # Those across the splits come first.
    assert listed == [
        ("2.jpg", "eval", "published", hashes[2], "train", "coco"),
        ("7.jpg", "eval", "batch", hashes[7], "train", "gan"),
        ("4.jpg", "eval", "corpus", hashes[4], "eval", "pets"),
        ("3.jpg", "train", "published", hashes[3], "train", "coco"),
    ]
    assert all(NEAR <= near.similarity <= 1 for near in report.near_duplicates)


def test_thumbnails_that_were_deleted_are_made_again(fake_batch: NewBatch, objects: Store) -> None:
    first = fake_batch("a")
    take(first, pictures(range(4)))
    for artifact in Artifact.objects.filter(kind="thumbnails"):
        for key in artifact.files:
            objects.delete(key)
    Artifact.objects.filter(sources=[first.eval_shard]).delete()
    copies = [SourceFile(f"{n}.jpg", file_of(picture(n), "JPEG"), "train") for n in range(4)]
    assert take(fake_batch("b"), copies).n_near["corpus"] == 4


def test_without_folders_the_content_decides_the_split(fake_batch: NewBatch, real_batch: NewBatch) -> None:
    one, other = fake_batch("a"), real_batch("b")
    take(one, pictures(range(40)))
    splits = dict(one.images.values_list("content_hash", "split"))
    one.images.all().delete()
    take(other, [SourceFile(f"renamed-{f.name}", f.content) for f in reversed(pictures(range(40)))])
    assert dict(other.images.values_list("content_hash", "split")) == splits


def test_the_stable_split_has_the_documented_share() -> None:
    hashes = [f"{(2 * n + 1) * 2**32 // 2000:08x}" + "0" * 56 for n in range(1000)]
    assert sum(stable_split(value) == Split.EVAL for value in hashes) == EVAL_SHARE * 1000 == 200


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train/a.png", "train"),
        ("top/eval/x/a.png", "eval"),
        ("eval/train/a.png", "eval"),
        ("a.png", None),
        ("train", None),
        ("trains/a.png", None),
    ],
)
def test_the_outermost_folder_decides(name: str, split: str | None) -> None:
    assert split_from_path(name) == split


def test_a_cut_off_ingest_leaves_nothing_and_is_repeated(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")

    def cut_off() -> Iterator[SourceFile]:
        yield from pictures(range(10), "train")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ingest(batch, cut_off(), progress=silent, should_stop=lambda: False)
    batch.refresh_from_db()
    assert (batch.images.count(), batch.n_train, batch.train_shard, batch.report) == (0, 0, "", {})
    assert scratch_files(objects) == []
    assert take(batch, pictures(range(10), "train")).n_train == 10


def test_an_ingest_that_is_stopped_leaves_nothing(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")
    calls = itertools.count()
    report = ingest(
        batch, pictures(range(10), "train"), progress=silent, should_stop=lambda: next(calls) == 5
    )
    assert report is None
    assert batch.images.count() == 0
    assert scratch_files(objects) == []


def test_repeating_an_ingest_changes_nothing(fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    files = [*pictures(range(10)), SourceFile("broken.png", b"x")]
    first = take(batch, files)
    rows = list(batch.images.values("content_hash", "split", "shard_row"))
    before = (batch.manifest_hash, batch.train_shard, batch.eval_shard)
    assert take(batch, files) == first
    assert list(batch.images.values("content_hash", "split", "shard_row")) == rows
    assert (batch.manifest_hash, batch.train_shard, batch.eval_shard) == before


def test_shards_do_not_depend_on_the_number_of_processes(
    fake_batch: NewBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = fake_batch("gan")
    keys = set()
    for n in (1, 3):
        monkeypatch.setattr(pool, "cpus", lambda n=n: n)
        take(batch, pictures(range(30)))
        keys.add((batch.train_shard, batch.eval_shard, batch.manifest_hash))
    assert len(keys) == 1
    assert all(next(iter(keys)))


def test_another_batch_that_wins_the_race_makes_duplicates(
    fake_batch: NewBatch, real_batch: NewBatch
) -> None:
    slow, quick = fake_batch("slow"), real_batch("quick")

    class Files:
        """While they are read for the first time, another batch brings two of them."""

        def __iter__(self) -> Iterator[SourceFile]:
            yield from pictures(range(5), "train")
            if not quick.images.exists():
                take(quick, pictures([1, 2], "train"))

    report = take(slow, Files())
    assert [r.name for r in report.rejected] == ["1.png", "2.png"]
    assert slow.images.count() == slow.n_train == 3
    assert list(slow.images.values_list("shard_row", flat=True)) == [0, 1, 2]


def test_a_batch_without_a_usable_image_says_why(fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    with pytest.raises(DataError) as caught:
        take(batch, [SourceFile("a.png", b"x"), SourceFile("b.png", b"y")])
    assert (caught.value.code, caught.value.detail) == (
        "batch_empty",
        "Of 2 files none can be used (2 image_broken).",
    )
    batch.refresh_from_db()
    assert batch.report["n_rejected"] == {"image_broken": 2}
    assert batch.manifest_hash == ""


def test_a_sealed_batch_is_never_changed(fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    take(batch, pictures(range(3), "train"))
    move(batch, "checking")
    batch_seal(batch)
    with pytest.raises(RequestError) as caught:
        take(batch, pictures(range(4), "train"))
    assert caught.value.code == "illegal_transition"
    assert batch.images.count() == 3


def test_primary_keys_can_be_given(fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    keys = [10_007, 10_003, 10_005]
    take(batch, [SourceFile(f"{n}", png(n), "train", pk) for n, pk in enumerate(keys)])
    assert list(batch.images.order_by("shard_row").values_list("pk", flat=True)) == keys


def test_progress_grows_to_one(fake_batch: NewBatch) -> None:
    shares: list[float] = []
    ingest(
        fake_batch("gan"),
        pictures(range(10)),
        progress=lambda share, activity: shares.append(share),
        should_stop=lambda: False,
    )
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1


def test_images_are_found_by_split(corpus: Corpus, fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    take(batch, [*pictures([1], "train"), *pictures([2], "eval")])
    wanted = content_hash(picture(2))
    assert places(corpus, Split.EVAL, [wanted]) == {wanted: (batch.pk, 0)}
    with pytest.raises(PlatformError, match="1 images of a manifest are not in the train split"):
        places(corpus, Split.TRAIN, [wanted])


def test_a_report_with_odd_names_reaches_the_database(fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    take(batch, [SourceFile("x", png(0), "train"), SourceFile("bad\\udcff.png", b"\0\xff", "train")])
    assert Batch.objects.get(pk=batch.pk).report["rejected"][0]["code"] == "image_broken"
    assert Image.objects.count() == 1
