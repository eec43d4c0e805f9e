"""The check of an uploaded batch, as a worker does it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from evaluator.batches import check_batch
from evaluator.lease import Lease, held
from leaderboard.models import Batch, Corpus, User
from leaderboard.services import corpora, leases, uploads
from leaderboard.services.generators import generator_create
from leaderboard.services.moves import move
from leaderboard.store import store
from protocols.states import BatchState
from tests.evaluator.data.images import file_of, picture

pytestmark = pytest.mark.django_db(transaction=True)

N = 25


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Settings) -> None:
    settings.HOME = tmp_path / "home"


@pytest.fixture
def corpus() -> Corpus:
    return corpora.corpus_create(slug="c", name="C")


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[Batch, int], None]:
    """Sends a batch an archive with ``N`` images for training and as many for evaluation."""
    owner = User.objects.create_user("maintainer")

    def send(batch: Batch, first: int) -> None:
        path = tmp_path / f"{first}.zip"
        with zipfile.ZipFile(path, "w") as file:
            for seed in range(first, first + 2 * N):
                image = file_of(picture(seed), "JPEG", quality=90)
                file.writestr(f"{'train' if seed % 2 else 'eval'}/{seed}.jpg", image)
        sent = uploads.upload_create(owner=owner, team=None, length=path.stat().st_size)
        with path.open("rb") as data:
            uploads.upload_append(sent, offset=0, stream=data)
        corpora.batch_submit(batch, sent, actor=owner)

    return send


def check(watch: Callable[[Lease[Batch]], None] = lambda lease: None) -> Batch:
    batch = leases.claim_check(Batch, "worker")
    assert batch is not None
    with held(batch) as lease:
        watch(lease)
        check_batch(batch, lease)
    return Batch.objects.get(pk=batch.pk)


def test_a_batch_is_sealed_with_report_audit_and_contact_sheet(
    corpus: Corpus, upload: Callable[[Batch, int], None]
) -> None:
    upload(corpora.batch_create(corpus=corpus, real_source="photographs"), 0)
    reals = check()
    assert (reals.state, reals.audit["reason"]) == (
        BatchState.SEALED,
        "No generator to compare with is published yet.",
    )
    move(reals, BatchState.PUBLISHED)
    generator = generator_create(corpus=corpus, slug="gan", name="GAN", release_date=date(2020, 1, 1))
    upload(corpora.batch_create(corpus=corpus, generator=generator), 100)
    seen: list[tuple[float, str]] = []

    def watch(lease: Lease[Batch]) -> None:
        report = lease.report
        lease.report = lambda share, activity: (seen.append((share, activity)), report(share, activity))  # type: ignore[method-assign]

    fakes = check(watch)
    assert (fakes.state, fakes.error_code, fakes.n_train, fakes.n_eval) == (BatchState.SEALED, "", N, N)
    assert fakes.report["n_near"] == {"batch": 0, "published": 0, "corpus": 0, "across": 0}
    assert fakes.audit["views"]["participants"]["n_fakes"] == 2 * N
    assert store().read_bytes(fakes.contact_sheet)[:4] == b"RIFF"
    assert fakes.upload is None
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    activities = " ".join(dict.fromkeys(activity.split(":")[0] for _, activity in seen))
    for word in ("decoding", "near duplicates", "contact sheet", "auditing"):
        assert word in activities


@pytest.mark.parametrize("when", ["decoding", "near duplicates", "contact sheet", "degrading the"])
def test_a_check_that_is_stopped_gives_the_batch_back(
    corpus: Corpus, upload: Callable[[Batch, int], None], when: str
) -> None:
    upload(corpora.batch_create(corpus=corpus, real_source="photographs"), 0)
    move(check(), BatchState.PUBLISHED)
    generator = generator_create(corpus=corpus, slug="gan", name="GAN", release_date=date(2020, 1, 1))
    upload(corpora.batch_create(corpus=corpus, generator=generator), 100)

    def watch(lease: Lease[Batch]) -> None:
        def report(share: float, activity: str) -> None:
            if when in activity:
                lease._stop = "shutdown"

        lease.report = report  # type: ignore[method-assign]

    batch = check(watch)
    assert (batch.state, batch.lease_token, batch.audit) == (BatchState.CHECKING, None, {})
    assert check().state == BatchState.SEALED
