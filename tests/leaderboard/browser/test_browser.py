from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Page, expect

from leaderboard.models import Board, Run, Step, Submission
from leaderboard.services.boards import board_touch, boards_refresh
from protocols.states import RunState, StepState
from tests.leaderboard.browser.conftest import PHONE, Open
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def detectors(page: Page) -> list[str]:
    return page.locator("table.board tbody th a").all_text_contents()


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def stay(page: Page) -> None:
    """Leave a mark that only loading the page again would wipe away."""
    page.evaluate("window.stayed = true")


def has_stayed(page: Page) -> bool:
    return page.evaluate("window.stayed === true")


@pytest.mark.parametrize("signed_in", [False, True], ids=["visitor", "owner"])
def test_no_page_scrolls_sideways_on_a_phone(shown: World, open_page: Open, signed_in: bool) -> None:
    page = open_page(shown.submitter if signed_in else None, viewport=PHONE)
    addresses = [
        "/",
        "/b/families-v1/",
        *(f"/b/families-v1/?columns={columns}" for columns in ("windows", "metrics")),
        "/b/families-v1/?family=flow&asof=edition-1",
        "/b/families-v1/first-contact/",
        "/b/families-v1/trends/",
        "/c/families/generators/",
        *(f"/detectors/{s.pk}/" for s in (shown.succeeded[0], shown.failed)),
        *(f"/submissions/{s.pk}/" for s in (shown.running, shown.failed)),
        *(["/submissions/", f"/submissions/{shown.rejected.pk}/"] if signed_in else ["/login/"]),
    ]
    for address in addresses:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address


def test_progress_is_live_and_polling_ends(shown: World, open_page: Open) -> None:
    page = open_page(shown.submitter)
    page.goto(f"/submissions/{shown.running.pk}/")
    step = Step.objects.get(run__submission=shown.running, state=StepState.RUNNING)
    row = page.locator(f"#step-{step.pk}")
    expect(row).to_contain_text("42%")
    stay(page)

    Step.objects.filter(pk=step.pk).update(progress=0.61, activity="epoch 1, batch 610 of 1000")
    expect(row).to_contain_text("61%", timeout=15_000)
    expect(row).to_contain_text("batch 610")

    Step.objects.filter(pk=step.pk).update(state=StepState.FAILED, error_code="container_timeout")
    Run.objects.filter(pk=step.run_id).update(state=RunState.FAILED, error_code="container_timeout")
    expect(page.locator(".fault")).to_contain_text("ran longer than the benchmark grants", timeout=15_000)
    assert has_stayed(page)
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    later: list[str] = []
    page.on("request", lambda request: later.append(request.url))
    page.wait_for_timeout(3000)
    assert later == []


def test_what_is_loaded_anew_stays_scrolled(shown: World, open_page: Open) -> None:
    page = open_page(shown.submitter, viewport=PHONE)
    page.goto(f"/submissions/{shown.running.pk}/")
    steps = page.locator(".scroll")
    steps.evaluate("element => { element.scrollLeft = 150 }")
    with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
        steps.evaluate("element => { element.dataset.old = true }")
    expect(page.locator(".scroll[data-old]")).to_have_count(0)
    assert steps.evaluate("element => element.scrollLeft") == 150


def test_cancelling_takes_one_button(shown: World, open_page: Open) -> None:
    page = open_page(shown.submitter)
    page.goto(f"/submissions/{shown.queued.pk}/")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    page.goto(f"/submissions/{shown.running.pk}/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("Cancelled.")
    expect(page.locator("#live")).to_contain_text("being cancelled")


def test_sorting_and_reading_work_without_script(shown: World, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/b/families-v1/")
    assert detectors(page) == ["npr", "durall-spectrum", "ensemble-of-everything"]
    page.get_by_role("link", name="Cost, s").click()
    assert page.url.endswith("?sort=cost")
    assert detectors(page) == ["ensemble-of-everything", "durall-spectrum", "npr"]
    page.goto(f"/detectors/{shown.succeeded[0].pk}/")
    expect(page.locator(".chart").first).to_be_hidden()
    expect(page.locator("table.matrix").first.locator("tbody tr")).to_have_count(4)


def test_sorting_with_script_loads_only_the_board(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    stay(page)
    page.get_by_role("link", name="Cost, s").click()
    page.wait_for_url("**/?sort=cost")
    expect(page.locator('th[aria-sort="ascending"]')).to_contain_text("Cost, s")
    assert detectors(page) == ["ensemble-of-everything", "durall-spectrum", "npr"]
    assert has_stayed(page)
    page.go_back()
    expect(page.locator('th[aria-sort="descending"]')).to_contain_text("Next")


def test_filters_are_live_and_keep_the_order(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    stay(page)
    page.get_by_role("link", name="Cost, s").click()
    page.wait_for_url("**/?sort=cost")
    page.get_by_label("Detector or team").press_sequentially("noor")
    page.wait_for_url("**/?sort=cost&q=noor")
    expect(page.locator("table.board tbody tr")).to_have_count(2)
    assert detectors(page) == ["ensemble-of-everything", "npr"]
    expect(page.get_by_label("Detector or team")).to_be_focused()
    page.get_by_text("More filters").click()
    page.get_by_label("First contact with").select_option("flow")
    page.wait_for_url("**/?sort=cost&q=noor&family=flow")
    expect(page.locator("table.board thead")).to_contain_text("First contact")
    page.get_by_role("link", name="Other metrics").click()
    page.wait_for_url("**/?columns=metrics&q=noor&family=flow")
    assert has_stayed(page)
    page.go_back()
    expect(page.get_by_label("Detector or team")).to_have_value("noor")
    expect(page.locator('th[aria-sort="ascending"]')).to_contain_text("Cost, s")


def test_filters_work_without_script(shown: World, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/b/families-v1/?columns=metrics&sort=brier")
    page.get_by_label("Detector or team").fill("noor")
    page.get_by_role("button", name="Show", exact=True).first.click()
    assert page.url.endswith("?columns=metrics&sort=brier&q=noor")
    assert detectors(page) == ["npr", "ensemble-of-everything"]


def test_marked_detectors_stay_marked_and_are_compared(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    for name in ("npr", "durall-spectrum"):
        page.get_by_label(f"Compare {name}", exact=True).check()
    page.get_by_role("link", name="Cost, s").click()
    page.wait_for_url("**/?sort=cost")
    expect(page.get_by_label("Compare npr", exact=True)).to_be_checked()
    page.get_by_role("button", name="Compare the marked ones").click()
    page.wait_for_url("**/compare/?d=*&d=*")
    expect(page.get_by_role("main")).to_contain_text("durall-spectrum")


def test_a_past_board_is_found_by_its_day(shown: World, open_page: Open) -> None:
    Board.objects.update(at=F("at") - timedelta(days=3))
    Submission.objects.filter(name="npr").update(name="npr-renamed")
    board_touch(shown.benchmark.pk)
    boards_refresh()
    page = open_page()
    page.goto("/b/families-v1/")
    assert detectors(page)[0] == "npr-renamed"
    page.locator(".asof summary").click()
    page.get_by_label("The board at the end of a day").fill(f"{timezone.now() - timedelta(days=2):%Y-%m-%d}")
    page.locator("#day").get_by_role("button", name="Show").click()
    expect(page.get_by_role("status")).to_contain_text("This is a past board: edition 1")
    assert detectors(page)[0] == "npr"
    page.get_by_role("link", name="Trends").click()
    expect(page.locator("#ranks")).to_contain_text("npr")
    expect(page.get_by_role("status")).to_contain_text("This is a past board")
    page.get_by_role("link", name="Show the present board.").click()
    expect(page.locator("#ranks")).to_contain_text("npr-renamed")


def test_the_map_is_drawn_again_for_a_family(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/first-contact/")
    stay(page)
    expect(page.locator("#first-contact")).to_contain_text("Rectified flow")
    page.get_by_text("More filters").click()
    page.get_by_label("First contact with").select_option("diffusion")
    page.wait_for_url("**/?family=diffusion")
    expect(page.locator("#first-contact .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#first-contact")).to_contain_text("Cascade")
    expect(page.locator("#first-contact")).not_to_contain_text("Rectified flow")
    assert has_stayed(page)


def test_dark_follows_the_system_and_a_choice_is_remembered(shown: World, open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    page.goto("/")
    dark = background(page)
    assert sum(int(part) for part in re.findall(r"\d+", dark)[:3]) < 120
    stay(page)
    page.get_by_role("button", name="Light").click()
    light = background(page)
    assert sum(int(part) for part in re.findall(r"\d+", light)[:3]) > 650
    assert has_stayed(page)
    page.goto("/b/families-v1/")
    assert background(page) == light
    expect(page.get_by_role("button", name="Light")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Auto").click()
    assert background(page) == dark


def test_charts_are_drawn_in_the_colours_of_the_theme(shown: World, open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    page.goto(f"/detectors/{shown.succeeded[0].pk}/")
    expect(page.locator("#matrix .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#periods .scatterlayer .trace")).to_have_count(6)
    title = page.locator("#matrix .gtitle")
    expect(title).to_contain_text("Simulated corpus")
    expect(title).to_have_css("fill", "rgb(228, 232, 234)")
    page.get_by_role("button", name="Light").click()
    expect(title).to_have_css("fill", "rgb(23, 33, 43)")
    page.goto("/b/families-v1/first-contact/")
    expect(page.locator("#first-contact .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#first-contact")).to_contain_text("Rectified flow")
    page.goto("/b/families-v1/trends/")
    expect(page.locator("#ranks .scatterlayer .trace")).to_have_count(2)
    expect(page.locator("#tradeoff .scatterlayer .trace")).to_have_count(1)
