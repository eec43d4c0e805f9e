from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from leaderboard.models import Delivery, Generator, Step
from leaderboard.services.boards import boards_refresh
from leaderboard.services.subscriptions import webhook_create
from protocols.states import StepState
from tests.leaderboard.arrivals import arrive, meet, show, withdraw
from tests.leaderboard.browser.conftest import PHONE, Open
from tests.leaderboard.browser.test_browser import has_stayed, stay
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_no_page_of_arrivals_scrolls_sideways_on_a_phone(shown: World, open_page: Open) -> None:
    show(Generator.objects.get(slug="lanczos-3"))
    withdraw(Generator.objects.get(slug="vq-16"))
    hook = webhook_create(
        owner=shown.submitter, url="https://receiver.example.org/" + "long/" * 40, benchmark=None
    )
    page = open_page(shown.submitter, viewport=PHONE)
    for address in (
        "/",
        "/b/families-v1/arrivals/",
        "/b/families-v1/news/",
        "/c/families/generators/lanczos-3/",
        "/c/families/generators/vq-16/",
        f"/detectors/{shown.succeeded[0].pk}/",
        "/webhooks/",
        f"/webhooks/{hook.pk}/",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address


def test_first_contacts_come_in_while_one_looks(shown: World, open_page: Open) -> None:
    generator = arrive(shown, n_met=1)
    boards_refresh(every=True)
    table, one = open_page(), open_page()
    table.goto("/b/families-v1/arrivals/")
    one.goto(f"/c/families/generators/{generator.slug}/")
    row = table.locator(f"#arrival-{generator.slug}")
    expect(row).to_contain_text("1 of 2")
    expect(one.locator("table.meetings tbody tr")).to_have_count(1)
    stay(table)
    stay(one)
    for step in Step.objects.filter(unit__generator=generator, state=StepState.READY):
        meet(step, 0.71)
    # As the worker that has just written them does.
    boards_refresh(every=True)
    expect(one.locator("table.meetings tbody tr")).to_have_count(2, timeout=15_000)
    expect(one.locator("table.meetings")).to_contain_text("0.710")
    expect(row).not_to_contain_text("of 2", timeout=15_000)
    assert has_stayed(table)
    assert has_stayed(one)
    expect(table.locator("#arrivals")).not_to_have_attribute("hx-trigger", re.compile("every"))


def test_a_webhook_is_made_with_the_form(shown: World, open_page: Open) -> None:
    page = open_page(shown.submitter)
    page.goto("/webhooks/")
    page.get_by_label("Address").fill("https://receiver.example.org/hook")
    page.get_by_label("Benchmark").select_option("families-v1")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator(".secret pre")).to_contain_text("whsec_")
    page.get_by_role("link", name="To the webhook").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#deliveries")).to_contain_text("pending")
    Delivery.objects.update(delivered_at="2026-01-01T00:00Z", next_attempt_at=None)
    expect(page.locator("#deliveries")).to_contain_text("delivered", timeout=15_000)
