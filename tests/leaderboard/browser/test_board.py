"""The pages of a board as somebody uses them: with script, as results come in, and without any script."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Page, expect

from leaderboard.models import Board, Run
from leaderboard.selectors import selection
from leaderboard.services.boards import board_touch, boards_refresh
from protocols.states import RunState
from tests.leaderboard.browser.conftest import Open
from tests.leaderboard.browser.test_browser import detectors, has_stayed, stay
from tests.leaderboard.factories import RunFactory, RunScoreFactory, SubmissionFactory
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BOARD = "/b/families-v1/"


def enter(world: World, name: str, value: float) -> None:
    """Another detector comes on the board."""
    submission = SubmissionFactory(benchmark=world.benchmark, name=name)
    run = RunFactory(submission=submission, edition=world.edition, state=RunState.SUCCEEDED)
    RunScoreFactory(run=run, value=value, low=value - 0.01, high=value + 0.01)
    board_touch(world.benchmark.pk)
    assert boards_refresh() == 1


def test_from_a_filter_to_a_link_that_outlives_the_board(
    shown: World, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "PAGE_ROWS", 2)
    for n in range(3):
        enter(shown, f"entry-{n}", 0.5 + 0.1 * n)
    page = open_page()
    page.goto(BOARD)
    stay(page)
    page.get_by_label("Detector or team").fill("entry")
    expect(page.get_by_text("1–2 of 3 rows").first).to_be_visible()
    page.get_by_role("link", name="Detector", exact=True).click()
    expect(page.locator('th[aria-sort="ascending"]')).to_contain_text("Detector")
    assert detectors(page) == ["entry-0", "entry-1"]
    page.get_by_role("link", name="Next page").first.click()
    expect(page.locator("table.board tbody tr")).to_have_count(1)
    assert detectors(page) == ["entry-2"]
    assert has_stayed(page)
    assert re.search(r"\?sort=name&q=entry&page=2$", page.url)

    page.get_by_role("link", name="Link to this view as it is now").click()
    link = page.url
    assert detectors(page) == ["entry-2"]
    table = page.locator("table.board").inner_text()
    Board.objects.update(at=F("at") - timedelta(days=1))
    enter(shown, "entry-00", 0.9)
    page.goto(BOARD + "?sort=name&q=entry&page=2")
    assert detectors(page) == ["entry-1", "entry-2"]
    page.goto(link)
    assert page.locator("table.board").inner_text() == table
    expect(page.locator(".message.warn")).to_contain_text("This is a past board")
    page.get_by_role("link", name="Show the present board").click()
    expect(page.locator(".message.warn")).to_have_count(0)


def test_a_result_comes_in_while_one_looks(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto(BOARD)
    expect(page.locator("section.live")).to_contain_text("patchcraft-192")
    expect(page.locator("table.board")).not_to_contain_text("patchcraft-192")
    marked = page.get_by_label("Compare npr")
    marked.check()
    stay(page)
    run = shown.running.runs.get()
    Run.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED, finished_at=timezone.now())
    RunScoreFactory(run=run, value=0.95, low=0.93, high=0.97)
    board_touch(shown.benchmark.pk)
    assert boards_refresh() == 1
    row = page.locator("table.board tbody tr", has_text="patchcraft-192")
    expect(row).to_contain_text("0.950", timeout=15_000)
    expect(page.locator("section.live")).not_to_contain_text("patchcraft-192")
    expect(marked).to_be_checked()
    assert has_stayed(page)


def test_detectors_are_marked_on_the_board_and_compared(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto(BOARD)
    page.get_by_label("Compare durall-spectrum").check()
    page.get_by_role("link", name="Cost, s").click()
    page.wait_for_url("**/?sort=cost")
    expect(page.get_by_label("Compare durall-spectrum")).to_be_checked()
    page.get_by_label("Compare npr").check()
    page.get_by_role("button", name="Compare the marked ones").click()
    expect(page.locator("table.compared tbody th a")).to_have_text(["durall-spectrum", "npr"])
    expect(page.locator("#contact-chart .scatterlayer .trace").first).to_be_attached()
    page.get_by_role("link", name="as the first").click()
    expect(page.locator("table.compared tbody th a")).to_have_text(["npr", "durall-spectrum"])
    page.get_by_role("link", name="leave out durall-spectrum").click()
    expect(page.locator("main")).to_contain_text("Choose two detectors or more")


def test_the_curves_of_another_checkpoint_are_a_click_away(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto(f"/detectors/{shown.succeeded[0].pk}/")
    curves = page.locator("#curves")
    before = curves.locator("table").first.inner_text()
    curves.get_by_role("link", name="Past", exact=True).click()
    expect(curves).to_be_in_viewport()
    expect(curves.get_by_role("link", name="Past", exact=True)).to_have_attribute("aria-current", "true")
    assert curves.locator("table").first.inner_text() != before
    expect(page.locator("#roc .scatterlayer .trace").first).to_be_attached()


def test_charts_keep_their_colours_through_filters_and_themes(shown: World, open_page: Open) -> None:
    page = open_page(color_scheme="light")
    page.goto(f"{BOARD}first-contact/")
    title = page.locator("#first-contact .gtitle")
    expect(title).to_have_css("fill", "rgb(23, 33, 43)")
    stay(page)
    page.get_by_role("button", name="Dark").click()
    expect(title).to_have_css("fill", "rgb(228, 232, 234)")
    page.get_by_label("Detector or team").fill("npr")
    expect(page.locator("#first-contact .ytick")).to_have_count(1)
    expect(title).to_have_css("fill", "rgb(228, 232, 234)")
    assert has_stayed(page)


def links(page: Page) -> list[str]:
    return [
        str(link.get_attribute("href"))
        for link in page.get_by_role("link", name=re.compile("^(CSV|JSON|Parquet)$")).all()
    ]


def test_a_board_needs_no_script(shown: World, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PAGE_ROWS", 2)
    Board.objects.update(at=F("at") - timedelta(days=2))
    enter(shown, "newcomer", 0.6)
    page = open_page(java_script_enabled=False)
    page.goto(BOARD)
    page.get_by_role("link", name="Next page").first.click()
    assert page.url.endswith("?page=2")
    page.get_by_label("Detector or team").fill("noor")
    page.get_by_role("button", name="Show").first.click()
    assert page.url.endswith("?q=noor")
    assert detectors(page) == ["npr", "ensemble-of-everything"]
    page.get_by_role("link", name="Detector", exact=True).click()
    assert page.url.endswith("?sort=name&q=noor")
    assert detectors(page) == ["ensemble-of-everything", "npr"]
    for address in links(page):
        answer = page.request.get(f"{BOARD}{address}" if address.startswith("?") else address)
        assert answer.ok, address
        assert len(answer.body()) > 200

    page.goto(BOARD)
    page.locator(".asof summary").click()
    page.get_by_label("The board at the end of a day (UTC)").fill(
        f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"
    )
    page.locator(".asof").get_by_role("button", name="Show").click()
    expect(page.locator(".message.warn")).to_contain_text("This is a past board")
    assert "newcomer" not in page.content()

    page.goto(BOARD)
    page.get_by_label("Compare npr").check()
    page.get_by_label("Compare durall-spectrum").check()
    page.get_by_role("button", name="Compare the marked ones").click()
    expect(page.locator("table.compared tbody th a")).to_have_text(["npr", "durall-spectrum"])
    expect(page.locator(".chart").first).to_be_hidden()
    expect(page.locator("table.differences").first.locator("tbody tr")).not_to_have_count(0)
