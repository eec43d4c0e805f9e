"""``tidemark batch`` and ``tidemark generator`` against a real server and a real worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from leaderboard.models import Batch, Corpus, Generator, Upload
from local.processes import free_port
from protocols.states import BatchState
from tests.conftest import env_of_processes
from tests.engines import Running
from tests.leaderboard.batches import AUDIT, REPORT
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CorpusFactory,
    GeneratorFactory,
    UserFactory,
)
from tests.tidemark.servers import ROOT, run, running, token_of
from tidemark import client
from tidemark.progress import Bars

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def worker(server: str, podman: Running, tmp_path: Path) -> Iterator[None]:
    """A worker that checks batches."""
    engine = {"DOCKER_HOST": podman.engine.docker_host, "TIDEMARK_INSTANCE": "tests"}
    pool = ["--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    celery = ["celery", "-A", "evaluator.app", "worker", *pool, "-n", "cli@test"]
    with running(tmp_path / "worker.log", env_of_processes() | engine, *celery):
        yield


def images(folder: Path, n: int = 10, seed: int = 0) -> Path:
    """A folder of noise with ``train/`` and ``eval/``, and one file that is no image."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        file = folder / ("eval" if number % 3 == 0 else "train") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(file)
    (folder / "train" / "notes.png").write_text("no image")
    return folder


FLUX = ["--generator", "flux-3", "--name", "Flux 3", "--family", "flow", "--release-date", "2026-11-16"]


@pytest.mark.container
def test_a_generator_is_registered_checked_and_published_once(worker: None, tmp_path: Path) -> None:
    BenchmarkFactory(corpus=CorpusFactory(slug="faces"), slug="faces-v1")
    office = images(tmp_path / "office", seed=1)
    reals = run("batch", "upload", office, "--corpus", "faces", "--reals", "office", "--publish")
    assert reals.exit_code == 0, reals.output
    assert "pool of real images: nothing runs" in reals.stdout
    assert "Published at" in reals.stdout

    folder = images(tmp_path / "flux")
    publish = ["--publish", "--reason", "Noise has no metadata to speak of."]
    first = run("batch", "upload", folder, "--corpus", "faces", *FLUX, *publish, "--json")
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["batch"]["state"] == "published"
    assert told["batch"]["report"]["n_rejected"] == {"image_broken": 1}
    assert [row["place"] for row in told["preview"]["benchmarks"]] == ["first"]
    generator = Generator.objects.get()
    assert (generator.name, generator.family, generator.release_date) == (
        "Flux 3",
        "flow",
        date(2026, 11, 16),
    )
    batch = Batch.objects.get(generator=generator)
    assert (batch.n_train, batch.n_eval) == (6, 4)

    again = run("batch", "upload", folder, "--corpus", "faces", "--generator", "flux-3", "--publish")
    assert again.exit_code == 0, again.output
    assert "flux-3 in faces: published" in again.stdout
    assert "11 files: 10 taken (6 train, 4 eval), 1 rejected" in again.stdout
    assert "image_broken" in again.stdout
    assert Batch.objects.filter(generator=generator).count() == 1
    assert Upload.objects.count() == 0


@pytest.mark.container
def test_a_batch_without_an_image_is_rejected_with_its_reasons(worker: None, tmp_path: Path) -> None:
    CorpusFactory(slug="faces")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.png").write_text("no image")
    result = run("batch", "upload", tmp_path / "none", "--corpus", "faces", "--reals", "office", "--publish")
    assert result.exit_code == 3
    assert "Of 1 files none can be used" in result.stdout
    assert Batch.objects.get().state == BatchState.REJECTED


def test_an_upload_that_was_cut_off_goes_on_where_it_stopped(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CorpusFactory(slug="faces")
    folder = images(tmp_path / "office", n=40)
    monkeypatch.setattr("tidemark.upload.PIECE_BYTES", 50_000)
    sent: list[int] = []

    def cut_off(bars: Bars, done: int, size: int) -> None:
        sent.append(done)
        if len(sent) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bars, "uploading", cut_off)
        first = run("batch", "upload", folder, "--corpus", "faces", "--reals", "office")
    assert first.exit_code == 130
    assert sent == [0, 50_000, 100_000, 150_000]
    assert Upload.objects.get().offset == 150_000

    sent.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Bars, "uploading", lambda bars, done, size: sent.append(done))
        # No worker runs, so the check would be waited for without end.
        patch.setattr("tidemark.batches.wait", lambda api, batch, show: api.get(f"batches/{batch}/"))
        second = run("batch", "upload", folder, "--corpus", "faces", "--reals", "office")
    assert second.exit_code == 0, second.output
    assert sent[0] == 150_000
    batch = Batch.objects.get()
    assert batch.state == BatchState.CHECKING
    assert batch.upload == Upload.objects.get()
    assert batch.upload.is_complete


def test_an_upload_that_expired_begins_anew(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"PK" + bytes(1000))
    with client.Api(server, os.environ["TIDEMARK_TOKEN"]) as api:
        gone = "00000000-0000-0000-0000-000000000000"
        begun: list[str] = []
        upload = api.upload(file, lambda _sent, _size: None, resume=gone, begun=begun.append)
        assert begun == [upload]
        assert upload != gone
        # One of another length is not of this file.
        file.write_bytes(b"PK" + bytes(2000))
        assert api.upload(file, lambda _sent, _size: None, resume=upload) != upload
    assert [u.offset for u in Upload.objects.order_by("created_at")] == [1002, 2002]


def test_too_large_an_archive_is_refused_with_the_servers_words(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.Api(server, os.environ["TIDEMARK_TOKEN"]) as api:
        huge = tmp_path / "huge.tar"
        with huge.open("wb") as file:
            file.truncate(21 * 2**30)
        with pytest.raises(
            client.ApiError, match=r"The upload was refused \(413\): .* are accepted"
        ) as refused:
            api.upload(huge, lambda _sent, _size: None)
    assert refused.value.code == "upload_size"


def test_batches_are_listed_and_shown(server: str) -> None:
    corpus = CorpusFactory(slug="faces")
    generator = GeneratorFactory(corpus=corpus, slug="flux-3")
    batch = BatchFactory(
        corpus=corpus, generator=generator, state=BatchState.SEALED, report=REPORT, audit=AUDIT
    )
    BatchFactory(real=True, state=BatchState.CHECKING, progress=0.25)

    listed = run("batch", "list").stdout
    assert str(batch.pk) in listed
    assert "25%" in listed
    assert [row["id"] for row in json.loads(run("batch", "list", "--state", "sealed", "--json").stdout)] == [
        str(batch.pk)
    ]
    assert json.loads(run("batch", "list", "--corpus", "nowhere", "--json").stdout) == []

    shown = run("batch", "show", batch.pk).stdout
    assert "223 files: 200 taken (160 train, 40 eval), 23 rejected" in shown
    assert "broken/<script>.png: cannot identify image file" in shown
    assert "3 images have near duplicates and are kept, 1 of them between train and eval" in shown
    assert "train/101.png (train) looks like eval/012.png (flux-3, eval)" in shown
    assert "beyond the bound of 0.70" in shown
    assert "originals: AUROC 0.98 (0.97–0.99); it goes by jpeg_quality, container, bytes" in shown
    assert "No benchmark is built on this corpus: nothing runs." in shown
    assert "publishing needs --reason" in shown
    assert json.loads(run("batch", "show", batch.pk, "--json").stdout)["preview"]["needs_reason"] is True


def test_beyond_the_bound_publishing_needs_a_reason(server: str) -> None:
    batch = BatchFactory(state=BatchState.SEALED, report=REPORT, audit=AUDIT)
    refused = run("batch", "publish", batch.pk)
    assert refused.exit_code == 4
    assert "beyond its bound" in refused.stderr
    batch.refresh_from_db()
    assert batch.state == BatchState.SEALED
    published = run("batch", "publish", batch.pk, "--reason", "PNG is what its makers publish", "--json")
    assert published.exit_code == 0, published.output
    assert json.loads(published.stdout)["batch"]["publication_reason"] == "PNG is what its makers publish"


def test_a_generator_is_withdrawn_and_its_date_corrected_with_reasons(server: str) -> None:
    generator = GeneratorFactory(slug="flux-3", release_date=date(2024, 1, 31))
    named = [generator.corpus.slug, "flux-3"]
    redated = run("generator", "redate", *named, "2024-02-01", "--reason", "the makers' post")
    assert "flux-3 was released on 2024-02-01." in redated.stdout
    assert run("generator", "withdraw", *named, "--reason", "licence").exit_code == 0
    generator.refresh_from_db()
    assert (generator.release_date, generator.withdrawal_reason) == (date(2024, 2, 1), "licence")
    twice = run("generator", "withdraw", *named, "--reason", "licence")
    assert twice.exit_code == 1
    assert "withdrawn already" in twice.stderr
    assert run("generator", "withdraw", *named).exit_code == 2


def test_what_the_command_cant_mean_is_told(server: str, tmp_path: Path) -> None:
    CorpusFactory(slug="faces")
    GeneratorFactory(corpus=Corpus.objects.get(), slug="flux-2", release_date=date(2025, 1, 1))
    folder = images(tmp_path / "flux", n=2)

    def refusal(*arguments: object, code: int = 2) -> str:
        result = run("batch", "upload", folder, *arguments)
        assert result.exit_code == code, result.output
        return result.stderr

    assert "either --generator or --reals" in refusal("--corpus", "faces")
    assert "Real images have no --release-date" in refusal(
        *["--corpus", "faces", "--reals", "office", "--release-date", "2024-01-01"]
    )
    assert "give --name and --release-date" in refusal("--corpus", "faces", "--generator", "flux-3")
    assert "correct it with `tidemark generator redate`" in refusal(
        *["--corpus", "faces", "--generator", "flux-2", "--release-date", "2025-01-02"]
    )
    assert "There is no corpus 'nowhere'" in refusal("--corpus", "nowhere", "--reals", "office", code=1)
    assert not Batch.objects.exists()
    assert not Generator.objects.filter(slug="flux-3").exists()


def test_who_is_no_maintainer_is_refused(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    CorpusFactory(slug="faces")
    monkeypatch.setenv("TIDEMARK_TOKEN", token_of(UserFactory()))
    result = run("batch", "upload", images(tmp_path / "flux", n=2), "--corpus", "faces", *FLUX)
    assert result.exit_code == 1
    assert "refused (403)" in result.stderr
    monkeypatch.setenv("TIDEMARK_TOKEN", "nonsense")
    assert "refused (401)" in run("batch", "list").stderr
    monkeypatch.delenv("TIDEMARK_TOKEN")
    assert run("batch", "list").exit_code == 2


def test_a_server_that_is_not_there_or_no_tidemark_is_told(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, why in [
        (f"http://127.0.0.1:{free_port()}", "can't be reached"),
        ("no address", "can't be reached"),
        (f"{server}/nowhere", "was answered with 404"),
    ]:
        monkeypatch.setenv("TIDEMARK_SERVER", url)
        result = run("batch", "list")
        assert result.exit_code == 1, url
        assert why in result.stderr, url


def in_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_needs_nothing_of_the_server() -> None:
    modules = (
        "batches, cli, client, credentials, detectors, exits, images, maintain, notes, pack, progress, "
        "results, session, show, submit, upload, watch"
    )
    done = in_python(
        f"import sys; from tidemark import {modules}\n"
        "print([m for m in ('django', 'leaderboard', 'evaluator', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_without_the_extra_it_says_what_to_install_and_scoring_still_works() -> None:
    call = (
        "import sys; sys.modules['httpx'] = None; from tidemark.cli import app; app({}, standalone_mode=True)"
    )
    done = in_python(call.format(["batch", "list", "--token", "x"]))
    assert done.returncode == 1
    assert "pip install 'tidemark[client]'" in done.stderr
    assert in_python(call.format(["score", "--help"])).returncode == 0
