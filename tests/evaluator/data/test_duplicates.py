"""The search for near duplicates, against a plain search and on planted ones."""

from __future__ import annotations

import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from evaluator.data import duplicates
from evaluator.data.alignment import NEAR, similarity
from evaluator.data.duplicates import Match, descriptors, near_duplicates
from evaluator.data.fingerprints import thumbnail
from local.corpus.writer import Parameters, make_image, plan
from tests.evaluator.data.images import Pixels, picture
from tests.evaluator.data.planted import CROPS, version

N_SCENES = 60


@pytest.fixture(scope="module")
def scenes() -> list[Pixels]:
    """Photographs of scenes of their own, as the simulated corpus has them."""
    parameters = Parameters(families=1, train=N_SCENES, eval=1, side=128, seed=3)
    jobs = islice(plan(parameters), N_SCENES)
    return [np.array(Image.open(io.BytesIO(make_image(parameters, job)))) for job in jobs]


def thumbnails(pictures: list[Pixels]) -> Pixels:
    return np.stack([thumbnail(pixels) for pixels in pictures])


def search(new: Pixels, known: Pixels, *, same: bool = False) -> list[Match]:
    pieces = list(near_duplicates(new, descriptors(new), known, descriptors(known), same=same))
    assert sum(n for n, _ in pieces) == len(new)
    return [match for _, matches in pieces for match in matches]


@pytest.mark.parametrize("crop", CROPS)
def test_versions_of_a_picture_are_found_from_either_side(scenes: list[Pixels], crop: str) -> None:
    rng = np.random.default_rng(7)
    originals = thumbnails(scenes)
    versions = thumbnails([version(scene, crop, rng) for scene in scenes])
    for new, known in ((versions, originals), (originals, versions)):
        found = search(new, known)
        assert {match.new for match in found} == {match.known for match in found}
        assert all(match.new == match.known for match in found)
        assert len(found) >= 0.95 * N_SCENES


def test_other_pictures_are_not_near(scenes: list[Pixels]) -> None:
    others = [picture(seed) for seed in range(100)]
    assert search(thumbnails(scenes + others), thumbnails(scenes + others), same=True) == []


def test_brightness_and_contrast_do_not_matter_and_detail_does(scenes: list[Pixels]) -> None:
    known = thumbnails(scenes)
    darker = thumbnails([(0.7 * scene + 10).astype(np.uint8) for scene in scenes])
    assert len(search(darker, known)) == N_SCENES
    # The same composition with other detail, as generators make of one prompt.
    rng = np.random.default_rng(0)
    other = known.copy()
    for n in range(N_SCENES):
        noise = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).resize((32, 32))
        other[n] = (0.75 * known[n] + 0.25 * np.asarray(noise)).astype(np.uint8)
    assert search(other, known) == []


def test_pictures_without_detail_are_like_nothing() -> None:
    levels = np.arange(0, 250, 10)
    blank = np.broadcast_to(levels[:, None, None], (len(levels), 32, 32)).astype(np.uint8)
    sky = blank // 2 + np.arange(32, dtype=np.uint8)
    assert search(np.concatenate([blank, sky]), np.concatenate([blank, sky])) == []


def test_a_picture_is_itself() -> None:
    known = thumbnails([picture(seed) for seed in range(20)])
    np.testing.assert_allclose(similarity(known, known), 1.0, atol=1e-3)


def test_all_that_come_before_are_found_and_none_twice() -> None:
    rng = np.random.default_rng(1)
    versions = [version(picture(5, 96, 128), "anywhere", rng) for _ in range(5)]
    found = search(thumbnails(versions), thumbnails(versions), same=True)
    assert [(m.new, m.known) for m in sorted(found)] == [(i, j) for i in range(5) for j in range(i)]
    assert all(NEAR <= match.similarity <= 1.001 for match in found)


def test_the_search_goes_across_blocks_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(700, 32)).astype(np.float32) + 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    new, known = vectors[:90], vectors[90:]
    expected = []
    for row, products in enumerate(new @ known.T):
        near = [n for n in np.argsort(-products, kind="stable") if products[n] >= 0.8]
        expected += [(row, n) for n in near[:16]]
    assert len(expected) > 90 * 15
    monkeypatch.setattr(duplicates, "_MAX_HITS", 2000)
    monkeypatch.setattr(duplicates, "_BLOCK_KNOWN", 64)
    rows, others = duplicates._candidates(new, known, None)
    assert list(zip(rows.tolist(), others.tolist(), strict=True)) == expected


def test_nothing_known_nothing_found() -> None:
    some = thumbnails([picture(1)])
    nothing = np.empty((0, 32, 32), dtype=np.uint8)
    assert search(some, nothing) == search(nothing, some) == []
