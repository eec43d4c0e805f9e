"""Entering a detector from a browser: the form, the upload that is cut off, and going on with it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from leaderboard.models import Benchmark, Submission, Upload, User
from leaderboard.pages import enter
from protocols.states import SubmissionState
from tests.leaderboard.browser.conftest import PHONE, Open
from tests.leaderboard.factories import BenchmarkFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MIB = 2**20


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What `docker save` writes: a manifest, a config and a layer, here of 6 MiB of noise."""
    layer = np.random.default_rng(3).bytes(6 * MIB)
    config = json.dumps({"os": "linux", "architecture": "amd64"}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["d:1"], "Layers": ["layer.tar"]}]).encode()
    path = tmp_path / "größter detektor.tar"
    with tarfile.open(path, "w") as target:
        for name, content in (("layer.tar", layer), ("config.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def benchmark(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    monkeypatch.setattr(enter, "CHUNK_BYTES", MIB)
    return BenchmarkFactory(name="Waves")


@pytest.fixture
def user(transactional_db: None) -> User:
    return UserFactory()


def fill(page: Page, archive: Path, name: str = "ebb") -> None:
    page.goto("/enter/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Archive").set_input_files(archive)


def hold_after(page: Page, n_bytes: int) -> list[Route]:
    """Never answer a piece from ``n_bytes`` on: the connection hangs, as it does on a bad day."""
    held: list[Route] = []

    def handle(route: Route) -> None:
        if route.request.method == "PATCH" and int(route.request.headers["upload-offset"]) >= n_bytes:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/uploads/**", handle)
    return held


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_detector_is_entered_and_its_archive_arrives(
    benchmark: Benchmark, user: User, archive: Path, open_page: Open
) -> None:
    page = open_page(user)
    fill(page, archive)
    expect(page.locator(".policy")).to_contain_text("Scores that were published stay on the board")
    page.get_by_text("Description, links, cut-off and seed").click()
    page.get_by_label("Description").fill("It looks at the waves.")
    page.get_by_label("Declared cut-off").fill("2024-05-01")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Enter and upload").click()
    page.wait_for_url("**/submissions/*/")
    submission = Submission.objects.get()
    assert (submission.name, submission.description, submission.seed) == ("ebb", "It looks at the waves.", 7)
    assert str(submission.declared_cutoff) == "2024-05-01"
    assert submission.state == SubmissionState.CHECKING
    upload = Upload.objects.get()
    assert submission.upload == upload
    assert (upload.filename, upload.team) == (archive.name, submission.team)
    assert upload.sha256 == sha256(archive) == sha256(upload.path)


def test_what_is_wrong_is_said_beside_its_field_and_the_file_stays_chosen(
    benchmark: Benchmark, user: User, archive: Path, open_page: Open
) -> None:
    # A browser logs every refused answer; in a page of its own nobody minds.
    page = open_page(user).context.new_page()
    fill(page, archive, name="x" * 120)
    page.evaluate("document.querySelector('#id_name').value = ' '")
    page.evaluate("document.querySelector('#entry').noValidate = true")
    page.get_by_role("button", name="Enter and upload").click()
    expect(page.locator(".errorlist")).to_have_text("This field is required.")
    assert not Submission.objects.exists()
    page.get_by_label("Name").fill("ebb")
    page.get_by_role("button", name="Enter and upload").click()
    page.wait_for_url("**/submissions/*/")
    assert Upload.objects.get().sha256 == sha256(archive)


def test_an_upload_goes_on_after_its_page_was_closed_in_the_middle(
    benchmark: Benchmark, user: User, archive: Path, open_page: Open
) -> None:
    # A browser logs the connection that breaks; in a page of its own nobody minds.
    page = open_page(user).context.new_page()
    held = hold_after(page, 2 * MIB)
    fill(page, archive)
    page.get_by_role("button", name="Enter and upload").click()
    page.wait_for_url("**/enter/*/")
    address = page.url
    page.wait_for_function("document.querySelector('#upload progress').value > 0.32")
    submission, upload = Submission.objects.get(), Upload.objects.get()
    assert (submission.state, submission.upload) == (SubmissionState.UPLOADING, upload)
    context = page.context
    # The next piece is on its way as soon as the progress of the last is shown, or a little later.
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(50)
    # Or the driver lets it through when the page is closed.
    held[0].abort()
    page.close()
    assert upload.offset == 2 * MIB

    # Another page of the same browser, as after a crash: the form of a new entry names the old one.
    page = context.new_page()
    page.set_viewport_size(PHONE)
    page.goto("/enter/")
    expect(page.locator(".unfinished")).to_contain_text("33 % of 6.0")
    page.locator(".unfinished a").click()
    assert page.url == address
    expect(page.locator("#upload-status")).to_have_text(
        f"The upload of {archive.name} was cut off. Choose the same file to go on."
    )
    expect(page.locator("#upload-share")).to_contain_text("33 %")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    offsets: list[str] = []
    page.on(
        "request",
        lambda request: (
            offsets.append(request.headers["upload-offset"]) if request.method == "PATCH" else None
        ),
    )
    page.get_by_label("Archive").set_input_files(archive)
    expect(page.locator("#upload-status")).to_have_text("This upload goes on where it stopped.")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/submissions/*/")
    assert offsets[0] == str(2 * MIB)
    submission.refresh_from_db()
    upload.refresh_from_db()
    assert submission.state == SubmissionState.CHECKING
    assert upload.sha256 == sha256(archive) == sha256(upload.path)


def test_an_upload_is_paused_gone_on_with_in_another_browser_and_cancelled(
    benchmark: Benchmark, user: User, archive: Path, tmp_path: Path, open_page: Open
) -> None:
    page = open_page(user)
    hold_after(page, 2 * MIB)
    fill(page, archive)
    page.get_by_role("button", name="Enter and upload").click()
    page.wait_for_function("document.querySelector('#upload progress')?.value > 0.32")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#upload-status")).to_have_text("Paused.")
    address, upload = page.url, Upload.objects.get()

    # The entry's own page shows it from anywhere; this browser remembers nothing.
    other = open_page(user)
    other.goto(f"/submissions/{Submission.objects.get().pk}/")
    expect(other.get_by_role("progressbar", name="Upload of the archive")).to_have_attribute(
        "value", str(2 * MIB)
    )
    other.goto(address)
    wrong = tmp_path / "wrong.tar"
    wrong.write_bytes(b"x")
    other.get_by_label("Archive").set_input_files(wrong)
    expect(other.locator("#upload-status")).to_contain_text("Choose that file, or cancel its upload first.")
    expect(other.get_by_role("button", name="Upload", exact=True)).to_be_disabled()
    other.get_by_label("Archive").set_input_files(archive)
    expect(other.get_by_role("button", name="Go on")).to_be_enabled()
    other.get_by_role("button", name="Cancel the upload").click()
    expect(other.locator("#upload-status")).to_have_text("Cancelled. Nothing of the upload is kept.")
    submission = Submission.objects.get()
    assert (submission.state, submission.upload) == (SubmissionState.DRAFT, None)
    assert not Upload.objects.exists()
    assert not upload.path.exists()

    other.get_by_label("Archive").set_input_files(archive)
    other.get_by_role("button", name="Upload", exact=True).click()
    other.wait_for_url("**/submissions/*/")
    assert Upload.objects.get().sha256 == sha256(archive)


def test_a_refusal_is_told_in_words(
    benchmark: Benchmark, user: User, archive: Path, open_page: Open, settings: object
) -> None:
    settings.QUOTA_STORED_BYTES = MIB  # type: ignore[attr-defined]
    page = open_page(user).context.new_page()
    fill(page, archive)
    page.get_by_role("button", name="Enter and upload").click()
    expect(page.locator("#upload-status")).to_contain_text(f"{MIB} are left")
    expect(page.locator("#upload-status")).to_contain_text("Give up uploads that you no longer need")
    settings.QUOTA_STORED_BYTES = 100 * MIB  # type: ignore[attr-defined]
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/submissions/*/")


def test_without_script_the_pages_tell_the_commands(
    benchmark: Benchmark, user: User, open_page: Open
) -> None:
    page = open_page(user, java_script_enabled=False)
    page.goto("/enter/")
    expect(page.locator("#entry-archive")).to_be_hidden()
    page.get_by_label("Name").fill("ebb")
    page.get_by_role("button", name="Enter and upload").click()
    submission = Submission.objects.get()
    assert page.url.endswith(f"/enter/{submission.pk}/")
    expect(page.locator("noscript .message")).to_be_visible()
    page.locator("#by-command summary").click()
    expect(page.locator("#by-command pre").first).to_contain_text(f"--benchmark {benchmark.slug}")
    expect(page.locator("#by-command pre").last).to_contain_text(f"/submissions/{submission.pk}/upload/")
