"""The upload of a batch from a browser, with a real archive and the server's own uploads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, Route, expect

from leaderboard.models import Batch, Upload, User
from leaderboard.pages import batches
from protocols.states import BatchState
from tests.leaderboard.browser.conftest import PHONE, Open
from tests.leaderboard.factories import BatchFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHUNK_BYTES = 10_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip of a dozen pictures of noise, several chunks long."""
    rng = np.random.default_rng(7)
    path = tmp_path / "flux-3 – Größe S.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number in range(12):
            content = io.BytesIO()
            Picture.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(content, "PNG")
            target.writestr(f"{'eval' if number < 4 else 'train'}/{number}.png", content.getvalue())
    assert path.stat().st_size > 5 * CHUNK_BYTES
    return path


@pytest.fixture
def batch(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Batch:
    monkeypatch.setattr(batches, "UPLOAD_CHUNK_BYTES", CHUNK_BYTES)
    return BatchFactory(state=BatchState.UPLOADING, n_train=0, n_eval=0, train_shard="", eval_shard="")


@pytest.fixture
def maintainer(transactional_db: None) -> User:
    return UserFactory(maintainer=True)


def choose(page: Page, archive: Path) -> None:
    page.get_by_label("Archive").set_input_files(archive)


def has_arrived(batch: Batch, archive: Path) -> bool:
    upload = Upload.objects.get()
    batch.refresh_from_db()
    return batch.upload == upload and upload.path.read_bytes() == archive.read_bytes()


def test_an_archive_is_uploaded_in_pieces_and_its_check_begins(
    batch: Batch, maintainer: User, archive: Path, open_page: Open
) -> None:
    page = open_page(maintainer)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if "/uploads/" in request.url else None)
    page.goto(f"/desk/batches/{batch.pk}/")
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_disabled()
    choose(page, archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".standing")).to_contain_text("checking")
    expect(page.locator("#live progress")).to_be_visible()
    assert has_arrived(batch, archive)
    assert batch.state == BatchState.CHECKING
    assert Upload.objects.get().filename == archive.name
    n_chunks = -(-archive.stat().st_size // CHUNK_BYTES)
    assert sent == ["POST", *["PATCH"] * n_chunks]


def test_a_page_loaded_anew_goes_on_where_the_upload_was_paused(
    batch: Batch, maintainer: User, archive: Path, open_page: Open
) -> None:
    page = open_page(maintainer, viewport=PHONE)
    page.goto(f"/desk/batches/{batch.pk}/")
    first_two: list[Route] = []

    def hold_the_third(route: Route) -> None:
        if route.request.method == "PATCH" and len(first_two) == 2:
            return  # It is never answered, so there is time to pause.
        if route.request.method == "PATCH":
            first_two.append(route)
        route.continue_()

    page.route("**/api/v1/uploads/**", hold_the_third)
    choose(page, archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("#upload-share")).to_contain_text("of 0.1 MB")
    page.wait_for_function("document.querySelector('#upload progress').value > 0.3")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#upload-status")).to_have_text("Paused.")
    assert Upload.objects.get().offset == 2 * CHUNK_BYTES

    # Not before the page is gone: without its route the piece that is held would go on its way.
    page.reload()
    page.unroute("**/api/v1/uploads/**")
    expect(page.locator("#upload-status")).to_contain_text("was cut off. Choose the same file to go on.")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    offsets: list[str] = []
    page.on(
        "request",
        lambda request: (
            offsets.append(request.headers["upload-offset"]) if request.method == "PATCH" else None
        ),
    )
    choose(page, archive)
    expect(page.locator("#upload-status")).to_have_text("This upload goes on where it stopped.")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".standing")).to_contain_text("checking")
    assert has_arrived(batch, archive)
    assert offsets[0] == str(2 * CHUNK_BYTES)


def test_a_server_that_fails_for_a_while_is_asked_where_to_go_on(
    batch: Batch, maintainer: User, archive: Path, open_page: Open
) -> None:
    # A browser logs every failed answer; in a page of its own nobody minds.
    page = open_page(maintainer).context.new_page()
    page.goto(f"/desk/batches/{batch.pk}/")
    failures = [503, 423]

    def fail_twice(route: Route) -> None:
        if route.request.method == "PATCH" and failures and route.request.headers["upload-offset"] != "0":
            route.fulfill(status=failures.pop(), body="busy")
        else:
            route.continue_()

    page.route("**/api/v1/uploads/**", fail_twice)
    choose(page, archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("#upload-status")).to_contain_text("Trying again in 1 s.")
    expect(page.locator(".standing")).to_contain_text("checking", timeout=15_000)
    assert has_arrived(batch, archive)
    assert failures == []


def test_another_file_begins_anew(batch: Batch, maintainer: User, archive: Path, open_page: Open) -> None:
    page = open_page(maintainer)
    page.goto(f"/desk/batches/{batch.pk}/")
    page.evaluate(
        """key => localStorage.setItem(key, JSON.stringify({
            size: 3, metadata: {filename: "x"}, creationTime: "",
            uploadUrl: "/api/v1/uploads/00000000-0000-0000-0000-000000000000"}))""",
        f"tus::tidemark-{batch.pk}-x-3-0::1",
    )
    page.reload()
    choose(page, archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".standing")).to_contain_text("checking")
    assert has_arrived(batch, archive)


def test_without_script_the_page_tells_the_command(batch: Batch, maintainer: User, open_page: Open) -> None:
    page = open_page(maintainer, java_script_enabled=False)
    page.goto(f"/desk/batches/{batch.pk}/")
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.locator("noscript .message")).to_be_visible()
    page.locator("summary").click()
    expect(page.locator(".upload pre")).to_contain_text(
        f"tidemark batch upload PATH --corpus {batch.corpus.slug}"
    )
