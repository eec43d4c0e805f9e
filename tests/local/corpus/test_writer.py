"""The corpus folder: its layout, its honesty, its encodings, and that it is the same every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from scipy.stats import chisquare

from local.corpus import make_corpus
from local.corpus.camera import CAMERAS
from local.corpus.generators import FAMILIES
from local.corpus.writer import Parameters, Split, Stream, jpeg_quality, make_image, plan, random_stream

REPOSITORY = Path(__file__).parents[3]
SMALL = {"families": 3, "images_per_split": (8, 5), "side": 64, "seed": 4}
SMALL_TOTAL = 3 * 13 * 2 + 2 + 1  # fakes, as many reals, 5 % of 24 and of 15 to spare


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    destination = tmp_path_factory.mktemp("corpus") / "made"
    make_corpus(destination, **SMALL, workers=2)
    return destination


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


class TestSameEveryTime:
    def test_byte_identical_whatever_the_workers(self, corpus, tmp_path):
        make_corpus(tmp_path / "one", **SMALL, workers=1)
        assert contents(tmp_path / "one") == contents(corpus)

    def test_another_seed_makes_other_images(self, corpus):
        parameters = [Parameters(families=3, train=8, eval=5, side=64, seed=seed) for seed in (4, 5)]
        job = next(plan(parameters[0]))
        assert make_image(parameters[0], job) != make_image(parameters[1], job)

    def test_fewer_families_are_the_beginning_of_more(self):
        few, many = (set(plan(Parameters(families=n, train=4, eval=3, side=64, seed=0))) for n in (2, 5))
        assert {job for job in few if job.family} < many
        assert {job for job in few if not job.family} < many

    def test_a_finished_corpus_is_left_as_it_is(self, corpus):
        before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
        reports = []
        make_corpus(corpus, **SMALL, workers=1, progress=lambda *report: reports.append(report))
        assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before
        assert reports == [(SMALL_TOTAL, SMALL_TOTAL)]

    def test_an_interrupted_corpus_is_made_again(self, corpus, tmp_path):
        class InterruptedHereError(Exception):
            pass

        def interrupt(done: int, _total: int) -> None:
            if done > 20:
                raise InterruptedHereError

        destination = tmp_path / "made"
        with pytest.raises(InterruptedHereError):
            make_corpus(destination, **SMALL, workers=1, progress=interrupt)
        assert not destination.exists()
        stray = tmp_path / "made.partial" / "reals" / "stray.jpg"
        stray.write_bytes(b"left by another version")
        make_corpus(destination, **SMALL, workers=2)
        assert contents(destination) == contents(corpus)
        assert [path.name for path in tmp_path.iterdir()] == ["made"]

    def test_an_empty_destination_is_used(self, tmp_path):
        make_corpus(tmp_path, families=1, images_per_split=(1, 1), side=64, workers=1)
        assert (tmp_path / "corpus.json").exists()


class TestRefusals:
    def test_another_corpus_is_not_overwritten(self, corpus):
        before = contents(corpus)
        with pytest.raises(FileExistsError, match=r"'seed': 4.*'seed': 9.*remove it or name another"):
            make_corpus(corpus, **{**SMALL, "seed": 9})
        assert contents(corpus) == before

    def test_other_files_are_not_overwritten(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("four years")
        with pytest.raises(FileExistsError, match="holds other files"):
            make_corpus(tmp_path, **SMALL)
        assert (tmp_path / "thesis.tex").read_text() == "four years"

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"families": 0}, "families is 0; there are 1 to 16"),
            ({"families": 17}, "families is 17"),
            ({"images_per_split": (0, 5)}, "at least 1"),
            ({"images_per_split": (5, 0)}, "at least 1"),
            ({"side": 100}, "multiple of 16"),
            ({"side": 48}, "at least 64"),
            ({"seed": -1}, "must not be negative"),
        ],
    )
    def test_impossible_parameters(self, tmp_path, wrong, message):
        with pytest.raises(ValueError, match=message):
            make_corpus(tmp_path / "made", **{**SMALL, **wrong})
        assert list(tmp_path.iterdir()) == []


class TestLayout:
    def test_folders_hold_what_was_asked_for(self, corpus):
        counts = Counter(str(path.parent.relative_to(corpus)) for path in corpus.rglob("*.jpg"))
        fakes = {folder: count for folder, count in counts.items() if folder.startswith("generators")}
        assert fakes == {
            f"generators/{family.slug}/{split}": count
            for family in FAMILIES[:3]
            for split, count in (("train", 8), ("eval", 5))
        }
        for split, total in (("train", 24 + 2), ("eval", 15 + 1)):
            reals = [counts[f"reals/{camera.slug}/{split}"] for camera in CAMERAS]
            assert sum(reals) == total
            assert max(reals) - min(reals) <= 1
        assert counts.total() == SMALL_TOTAL

    def test_names_are_content_hashes(self, corpus):
        for path in corpus.rglob("*.jpg"):
            assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem)
            assert len(path.stem) == 32

    def test_generators_csv(self, corpus):
        with (corpus / "generators.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["slug", "name", "family", "release_date", "source", "licence"]
        assert [row["slug"] for row in rows] == [family.slug for family in FAMILIES[:3]]
        assert [row["release_date"] for row in rows] == sorted(row["release_date"] for row in rows)

    def test_it_says_everywhere_that_it_is_simulated(self, corpus):
        with (corpus / "generators.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                assert row["name"].startswith("Simulated: ")
                assert row["source"].startswith("simulated: ")
        assert {path.name[:4] for path in (corpus / "reals").iterdir()} == {"sim-"}
        assert all("imulated" in camera.name for camera in CAMERAS)
        marker = json.loads((corpus / "corpus.json").read_text())
        assert marker["simulated"] is True
        assert marker["slug"] == "simulated"
        assert "imulated" in marker["name"]
        assert "imulated" in marker["description"]
        assert (corpus / "README.txt").read_text().startswith("SIMULATED CORPUS")


def encodings(paths: Iterable[Path]) -> Counter[tuple]:
    """How many files have each combination of all that a decoder learns besides the pixels."""
    found: Counter[tuple] = Counter()
    for path in paths:
        with Image.open(path) as image:
            tables = tuple(tuple(table) for table in image.quantization.values())
            found[path.suffix, image.format, image.size, image.mode, get_sampling(image), tables] += 1
    return found


class TestNothingTellsTheLabelButThePixels:
    def test_reals_have_the_sizes_formats_and_jpeg_tables_of_the_fakes(self, corpus):
        for split, spare in ((Split.TRAIN, 2), (Split.EVAL, 1)):
            fakes = encodings(corpus.glob(f"generators/*/{split}/*"))
            reals = encodings(corpus.glob(f"reals/*/{split}/*"))
            assert fakes <= reals, fakes - reals
            assert (reals - fakes).total() == spare
            assert len(fakes) > 4

    def test_no_file_carries_metadata(self, corpus):
        for path in corpus.rglob("*.jpg"):
            with Image.open(path) as image:
                assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}

    def test_qualities_cover_the_stated_range_evenly(self):
        parameters = Parameters(families=16, train=60, eval=40, side=96, seed=0)
        qualities = Counter(jpeg_quality(parameters, split, n) for split in Split for n in range(700))
        assert set(qualities) == set(range(85, 99))
        assert chisquare(list(qualities.values())).pvalue > 1e-3

    def test_files_are_encoded_at_the_quality_of_their_position(self):
        parameters = Parameters(families=1, train=6, eval=1, side=64, seed=0)
        for job in plan(parameters):
            expected = io.BytesIO()
            Image.new("RGB", (8, 8)).save(
                expected, "JPEG", quality=jpeg_quality(parameters, job.split, job.position)
            )
            with Image.open(expected) as blank, Image.open(io.BytesIO(make_image(parameters, job))) as image:
                assert image.quantization == blank.quantization

    @pytest.mark.parametrize("stream", [Stream.REAL, Stream.GENERATED])
    def test_quality_is_not_drawn_from_what_decides_the_picture(self, stream):
        """Else the quality would go with what one class shows, and not with the other."""
        parameters = Parameters(families=1, train=1, eval=1, side=64, seed=0)
        same = sum(
            jpeg_quality(parameters, Split.TRAIN, n)
            == random_stream(parameters, Split.TRAIN, n, stream).integers(85, 98, endpoint=True)
            for n in range(280)
        )
        assert same < 2 * 280 / 14

    def test_a_real_does_not_show_its_twin_s_scene(self):
        """With one scene for both, they would be told apart by comparing them."""
        parameters = Parameters(families=1, train=6, eval=1, side=64, seed=0)
        jobs = [job for job in plan(parameters) if job.split is Split.TRAIN]
        fakes, reals = (
            [decode(make_image(parameters, job)) for job in jobs if bool(job.family) is generated]
            for generated in (True, False)
        )
        for fake, real in zip(fakes, reals, strict=False):
            assert abs(np.corrcoef(fake.ravel(), real.ravel())[0, 1]) < 0.8


def decode(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.array(image)


class TestCommand:
    def test_makes_a_corpus_and_shows_progress(self, corpus, tmp_path):
        run = command(
            tmp_path / "made", "--families", "3", "--train", "8", "--eval", "5", "--side", "64", "--seed", "4"
        )
        assert run.returncode == 0, run.stderr
        assert f"{SMALL_TOTAL}/{SMALL_TOTAL}" in run.stdout
        assert contents(tmp_path / "made") == contents(corpus)

    def test_says_what_is_wrong(self, tmp_path):
        run = command(tmp_path / "made", "--side", "100")
        assert run.returncode == 2
        assert "multiple of 16" in run.stderr


def command(destination: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.corpus", str(destination), "--workers", "1", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
