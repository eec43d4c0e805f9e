"""The shortcut audit on real files: planted bias is found, and gone when it is removed."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from pytest_django.fixtures import Settings

from evaluator.data import audit as audits
from evaluator.data.audit import shortcut_audit
from evaluator.data.evaluation import ensure_frozen
from evaluator.data.jobs import degraded
from evaluator.data.shards import Shard
from evaluator.data.sources import SourceFile
from leaderboard.models import Artifact, Batch
from leaderboard.services.moves import move
from leaderboard.store import Store
from tests.evaluator.data.conftest import silent, take
from tests.evaluator.data.images import file_of, picture

NewBatch = Callable[[str], Batch]

N = 60
QUALITIES = (75, 85, 92)


def through_jpeg(seed: int) -> bytes:
    """A JPEG file; its pixels carry the traces of the codec."""
    side = 64 + 8 * (seed % 5)
    return file_of(picture(seed, side, side + 16), "JPEG", quality=QUALITIES[seed % 3])


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    with Pillow.open(io.BytesIO(data)) as image:
        return np.array(image)


def files(first: int, *, png: bool = False, again: bool = False) -> list[SourceFile]:
    """``N`` files for training and ``N`` for evaluation, of pixels that were a JPEG once."""
    found = []
    for seed in range(first, first + 2 * N):
        data = through_jpeg(seed)
        if png:
            data = file_of(decoded(data), "PNG")
        if again:
            data = file_of(decoded(data), "JPEG", quality=QUALITIES[seed % 3])
        found.append(SourceFile(f"{seed}", data, "train" if seed % 2 else "eval"))
    return found


def published(batch: Batch, images: list[SourceFile]) -> Batch:
    take(batch, images)
    for state in ("checking", "sealed", "published"):
        move(batch, state)
    return batch


@pytest.fixture
def reals(real_batch: NewBatch) -> Batch:
    return published(real_batch("photographs"), files(0))


def test_a_biased_batch_is_told_by_its_files_and_not_by_what_participants_get(
    reals: Batch, fake_batch: NewBatch
) -> None:
    batch = fake_batch("biased")
    take(batch, files(1000, png=True))
    audit = shortcut_audit(batch, silent)
    originals, participants = audit["views"]["originals"], audit["views"]["participants"]
    assert originals["auroc"] > 0.99
    assert originals["low"] > 0.95
    assert (originals["n_fakes"], originals["n_reals"]) == (2 * N, 2 * N)
    assert originals["features"]["format"] == originals["features"]["jpeg_quality"] == 0.5
    # A classifier with nothing to go by scatters around a guess, cross-validated a little below it.
    assert abs(participants["auroc"] - 0.5) < 0.1
    assert participants["low"] < 0.5
    assert audit["exceeds"] is False
    assert audit["distributions"]["format"] == {"fakes": {"PNG": 2 * N}, "reals": {"JPEG": 2 * N}}
    assert audit["distributions"]["jpeg_quality"]["fakes"] == {"null": 2 * N}
    assert set(audit["distributions"]["jpeg_quality"]["reals"]) == {"75", "85", "92"}


def test_after_equalising_nothing_is_told(reals: Batch, fake_batch: NewBatch) -> None:
    batch = fake_batch("equalised")
    take(batch, files(1000, again=True))
    audit = shortcut_audit(batch, silent)
    for view in audit["views"].values():
        assert abs(view["auroc"] - 0.5) < 0.1
        assert view["low"] < 0.5


def test_what_participants_get_can_be_beyond_the_bound(
    reals: Batch, fake_batch: NewBatch, settings: Settings
) -> None:
    batch = fake_batch("large")
    take(batch, [SourceFile(f"{n}", file_of(picture(n, 256, 256), "JPEG"), "train") for n in range(500, 540)])
    audit = shortcut_audit(batch, silent)
    view = audit["views"]["participants"]
    assert (audit["version"], audit["bound"], audit["exceeds"]) == (1, 0.7, True)
    assert (view["n_fakes"], view["n_reals"]) == (40, N)
    assert view["low"] > 0.7
    settings.AUDIT_BOUND = 0.95
    assert shortcut_audit(batch, silent)["exceeds"] is False


def test_the_format_alone_is_what_it_goes_by(reals: Batch, fake_batch: NewBatch) -> None:
    """Fakes as WebP of about the same size: the container is the shortcut, and is named first."""
    batch = fake_batch("webp")
    rows = [SourceFile(f.name, file_of(decoded(f.content), "WEBP", quality=90), f.split) for f in files(1000)]  # type: ignore[arg-type]
    take(batch, rows)
    features = shortcut_audit(batch, silent)["views"]["originals"]["features"]
    assert set(features) == {
        "width",
        "height",
        "aspect",
        "bytes",
        "bytes_per_pixel",
        "format",
        "jpeg_quality",
    }
    assert features["format"] == features["jpeg_quality"] == 0.5
    assert features["aspect"] < 0.2
    assert list(features.values()) == sorted(features.values(), reverse=True)


def test_reals_are_compared_with_the_published_fakes(fake_batch: NewBatch, real_batch: NewBatch) -> None:
    published(fake_batch("gan"), files(1000, png=True))
    gone = published(fake_batch("gone"), files(2000))
    assert gone.generator is not None
    gone.generator.withdrawn_at = gone.published_at or gone.created_at
    gone.generator.save()
    batch = real_batch("photographs")
    take(batch, files(0))
    originals = shortcut_audit(batch, silent)["views"]["originals"]
    assert originals["auroc"] > 0.99
    assert (originals["n_fakes"], originals["n_reals"]) == (2 * N, 2 * N)


def test_without_counterparts_it_is_undefined_and_says_why(
    fake_batch: NewBatch, real_batch: NewBatch
) -> None:
    take(real_batch("sealed-only"), files(0)[:10])
    for batch, word in ((fake_batch("a"), "real image"), (real_batch("b"), "generator")):
        take(batch, files(100 * len(word))[:4])
        audit = shortcut_audit(batch, silent)
        assert audit["views"] == {"originals": None, "participants": None}
        assert (audit["exceeds"], audit["distributions"]) == (False, {})
        assert audit["reason"] == f"No {word} to compare with is published yet."


def test_of_few_images_it_is_undefined(reals: Batch, fake_batch: NewBatch) -> None:
    batch = fake_batch("few")
    take(batch, [SourceFile(f.name, f.content, "train") for f in files(1000)[:25]])
    audit = shortcut_audit(batch, silent)
    assert audit["views"]["originals"]["n_fakes"] == 25
    assert audit["views"]["participants"]["n_reals"] == N
    batch = fake_batch("fewer")
    take(batch, files(3000)[:19])
    audit = shortcut_audit(batch, silent)
    assert audit["views"] == {"originals": None, "participants": None}
    assert audit["reason"] == "There are fewer than 20 fakes or reals to compare."


def test_the_same_batch_has_the_same_audit_and_progress_grows(reals: Batch, fake_batch: NewBatch) -> None:
    batch = fake_batch("gan")
    take(batch, files(1000))
    shares: list[float] = []
    first = shortcut_audit(batch, lambda share, activity: shares.append(share))
    assert shortcut_audit(batch, silent) == first
    assert shares == sorted(shares)
    assert len(shares) > N


def test_degraded_images_are_those_that_containers_get(fake_batch: NewBatch, objects: Store) -> None:
    batch = fake_batch("gan")
    take(batch, files(0)[:12])
    shard, frozen = Shard(objects, batch.eval_shard), Shard(objects, ensure_frozen(batch, "v2", silent))
    for row in range(len(shard)):
        facts = degraded((shard.png(row), shard.content_hash(row), "v2"))
        assert facts.size_bytes == frozen.size_bytes(row) == len(frozen.png(row))


def test_large_batches_are_not_frozen_and_have_the_same_audit(
    reals: Batch, fake_batch: NewBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = fake_batch("gan")
    take(batch, files(1000))
    monkeypatch.setattr(audits, "MAX_FROZEN", N - 1)
    loose = shortcut_audit(batch, silent)
    assert not Artifact.objects.filter(kind="frozen").exists()
    monkeypatch.setattr(audits, "MAX_FROZEN", N)
    assert shortcut_audit(batch, silent) == loose
    assert Artifact.objects.filter(kind="frozen").count() == 2
