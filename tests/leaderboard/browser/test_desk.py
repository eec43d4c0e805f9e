"""The maintainers' desk in a browser: it fits a phone, and it is live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from leaderboard.models import Batch, Step, Unit, User, WorkerBeat
from leaderboard.services.audit import Verb, record
from protocols.contract import Phase
from protocols.states import BatchState, RunState, StepState
from tests.leaderboard.browser.conftest import DESKTOP, PHONE, Open
from tests.leaderboard.factories import BatchFactory, EditionFactory, StepFactory, UploadFactory
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PARTS = ["", "arrivals/", "queue/", "workers/", "failures/", "storage/", "cost/", "log/"]


@pytest.fixture
def busy(shown: World) -> World:
    """A board with all that can keep a maintainer busy."""
    now = timezone.now()
    newcomer = Unit.objects.order_by("-generator__release_date")[0]
    Batch.objects.filter(generator=newcomer.generator).update(published_at=now - timedelta(minutes=4))
    Batch.objects.exclude(generator=newcomer.generator).update(published_at=now - timedelta(days=90))
    runs = list(shown.edition.runs.filter(state=RunState.SUCCEEDED))
    for n, run in enumerate(runs):
        states = [StepState.SUCCEEDED, StepState.RUNNING, StepState.READY]
        StepFactory(
            run=run, phase=Phase.PREDICT, window=3, unit=newcomer, state=states[n % 3], progress=0.3, gpus=1
        )
    WorkerBeat.objects.create(
        name="gpu-1@hopper",
        gpus=["0"],
        engine="docker 28.5.1",
        started_at=now - timedelta(days=2),
        seen_at=now,
    )
    WorkerBeat.objects.create(
        name="cpu-1@hopper", engine="podman 5.4.2", started_at=now - timedelta(days=2), seen_at=now
    )
    WorkerBeat.objects.create(
        name="worker1@tidemark-eval-03.example.org",
        engine="podman 5.4.2",
        started_at=now - timedelta(days=2),
        seen_at=now - timedelta(minutes=14),
    )
    WorkerBeat.objects.create(
        name="worker2@tidemark-eval-04.example.org",
        started_at=now - timedelta(days=1),
        seen_at=now,
        problem="The container engine does not answer: connection to unix:///run/podman/podman.sock refused",
    )
    Step.objects.filter(state=StepState.RUNNING, phase=Phase.TRAIN).update(leased_by="cpu-1@hopper")
    contact = Step.objects.filter(state=StepState.RUNNING, unit=newcomer).first()
    if contact:
        Step.objects.filter(pk=contact.pk).update(leased_by="gpu-1@hopper", activity="predicting")
    Step.objects.filter(state=StepState.FAILED).update(finished_at=now - timedelta(hours=5))
    StepFactory(
        run=runs[0],
        window=30,
        state=StepState.FAILED,
        error_code="attempts_exhausted",
        error_detail="The platform failed 3 times; the last time: worker1 lost contact.",
        finished_at=now - timedelta(hours=2),
    )
    BatchFactory(corpus=shown.corpus, state=BatchState.SEALED, sealed_at=now - timedelta(hours=1))
    BatchFactory(
        corpus=shown.corpus,
        state=BatchState.REJECTED,
        error_code="batch_empty",
        error_detail="No usable image is left: 412 duplicates, 3 broken.",
    )
    EditionFactory(benchmark=shown.benchmark, number=2, opened_at=None, windows=1)
    UploadFactory(content=b"x" * 40_000, expires_at=now - timedelta(days=1))
    record(shown.maintainer, Verb.BATCH_PUBLISHED, "flow-2", reason="PNG alone was on offer.", batch="5a7e")
    record(shown.maintainer, Verb.STORAGE_FREED, "artifacts", n_objects=48, size_bytes=51_539_607_552)
    record("server", Verb.WINDOW_CLOSED, "families-v1 window 4", edition=2)
    return shown


def maintainer(world: World) -> User:
    return world.maintainer


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_part_of_the_desk_scrolls_sideways(busy: World, open_page: Open, viewport: dict[str, int]) -> None:
    page = open_page(maintainer(busy), viewport=viewport)
    for part in PARTS:
        page.goto(f"/desk/{part}")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], part


def test_arrivals_move_while_one_looks_and_then_rest(busy: World, open_page: Open) -> None:
    page = open_page(maintainer(busy))
    page.goto("/desk/arrivals/")
    row = page.locator("#arrivals tbody tr").first
    expect(row.locator("td").nth(1)).to_contain_text("50%")
    Step.objects.filter(unit__isnull=False).update(state=StepState.SUCCEEDED)
    expect(row.locator("td").nth(1)).to_contain_text("100%")
    assert page.locator("#arrivals[hx-get]").count() == 0


def test_what_is_typed_into_the_budget_survives_the_live_page(busy: World, open_page: Open) -> None:
    page = open_page(maintainer(busy))
    page.goto("/desk/")
    field = page.get_by_label("Budget of container hours")
    field.fill("12.5")
    # The page's own timer loads the figures anew, and nothing else.
    standing = page.locator("#standing")
    expect(standing).to_contain_text("2 at work")
    Step.objects.filter(leased_by="gpu-1@hopper").update(state=StepState.SUCCEEDED)
    expect(standing).to_contain_text("1 at work", timeout=15_000)
    expect(field).to_have_value("12.5")
    page.get_by_role("button", name="Approve training").click()
    expect(page.get_by_role("status")).to_contain_text("is approved")
    expect(page.get_by_role("button", name="Approve training")).to_have_count(0)


def test_storage_is_freed_by_its_button(busy: World, open_page: Open) -> None:
    page = open_page(maintainer(busy))
    page.goto("/desk/storage/")
    page.get_by_role("button", name="Free uploads").click()
    expect(page.get_by_role("status")).to_contain_text("Freed 1 of uploads: 40,000 bytes.")
    expect(page.get_by_role("button", name="Free uploads")).to_have_count(0)
