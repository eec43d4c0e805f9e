"""Everything can be reached, seen and used with the keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from leaderboard.models import Step
from protocols.states import StepState
from tests.leaderboard.browser.conftest import PHONE, Open
from tests.leaderboard.showcase import Place, build_showcase
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VISITED = (
    *("home", "leaderboard", "leaderboard-metrics", "leaderboard-filtered", "first-contact", "trends"),
    *("compare-picker", "compare-three", "detector", "generator", "generators", "arrivals", "login"),
    *("enter", "submissions", "submission", "account", "team", "webhooks"),
)
# What Tab is to stop at, in the order of the page. What a closed <details> holds is not there to be seen.
STOPS = """
() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter(e => e.type !== 'hidden' && !e.disabled && e.tabIndex >= 0)
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .map((e, n) => { e.dataset.stop = n; return e.outerHTML.slice(0, 90) })
"""
# Where the keyboard is: which stop, whether a ring is drawn around it, and whether that is on the screen.
HERE = """
() => {
  const e = document.activeElement
  if (!e || e === document.body) return null
  const style = getComputedStyle(e), box = e.getBoundingClientRect()
  return {
    stop: Number(e.dataset.stop ?? -1),
    html: e.outerHTML.slice(0, 90),
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    seen: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
  }
}
"""
# Charts without a table after them in their own section.
CHARTS_ALONE = """
() => [...document.querySelectorAll('[data-figure]')]
  .filter(chart => ![...(chart.closest('section') ?? chart.closest('main')).querySelectorAll('table')]
    .some(table => chart.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING))
  .map(chart => chart.id)
"""


def here(page: Page) -> dict[str, Any] | None:
    return page.evaluate(HERE)


def walk(page: Page, place: Place) -> None:
    """Tab through a page, from its first stop to its last, and out of it."""
    stops = page.evaluate(STOPS)
    assert len(stops) > 5, place
    for n, html in enumerate(stops):
        page.keyboard.press("Tab")
        at = here(page)
        assert at is not None, f"{place.name}: the keyboard got lost before {html}"
        assert at["stop"] == n, f"{place.name}: {at['html']} came instead of {html}"
        assert at["ring"], f"{place.name}: nothing shows that the keyboard is on {html}"
        assert at["seen"], f"{place.name}: {html} is not on the screen"
    page.keyboard.press("Tab")
    # A browser without a window of its own around the page begins again.
    assert (here(page) or {"stop": 0})["stop"] == 0, f"{place.name}: the keyboard can't leave"


def test_tab_goes_through_every_page_in_its_order_and_out_again(
    transactional_db: None, open_page: Open
) -> None:
    showcase = build_showcase(n_detectors=2)
    visitor, member = open_page(), open_page(showcase.world.submitter)
    for name in VISITED:
        place = showcase.at(name)
        page = visitor if place.user is None else member
        page.goto(place.address)
        walk(page, place)
        assert page.evaluate(CHARTS_ALONE) == [], name


def test_the_first_stop_skips_to_the_content(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_filters_are_used_without_leaving_them(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    page.locator("#filter-q").focus()
    page.keyboard.type("npr")
    page.wait_for_url("**/?q=npr")
    expect(page.locator("table.board tbody tr")).to_have_count(1)
    expect(page.locator("#filter-q")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#filter-track")).to_be_focused()
    page.keyboard.press("t")
    page.wait_for_url("**/?q=npr&track=trained")
    expect(page.locator("#filter-track")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#filter-track")).to_be_hidden()


def test_sorting_and_other_columns_leave_the_keyboard_where_it_is(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto("/b/families-v1/")
    page.locator("#sort-cost").focus()
    for order in ("ascending", "descending"):
        page.keyboard.press("Enter")
        expect(page.locator(f"th[aria-sort='{order}']")).to_contain_text("Cost, s")
        expect(page.locator("#sort-cost")).to_be_focused()
    columns = page.get_by_role("link", name="Every window")
    columns.focus()
    page.keyboard.press("Enter")
    expect(page.locator("table.by-windows")).to_be_visible()
    expect(columns).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Other metrics")).to_be_focused()


def test_what_was_just_swapped_in_acts_at_once(shown: World, open_page: Open) -> None:
    """A key that comes right after a swap acts on the board; it does not load the page anew."""
    page = open_page()
    page.goto("/b/families-v1/")
    page.evaluate("""() => {
      window.kept = true
      const sort = () => document.querySelector('#sort-cost').click()
      const watch = new MutationObserver(() => { watch.disconnect(); sort() })
      watch.observe(document.querySelector('main'), {childList: true, subtree: true})
      sort()
    }""")
    expect(page.locator("th[aria-sort='descending']")).to_contain_text("Cost, s")
    assert page.evaluate("window.kept")


def test_a_live_page_does_not_take_the_keyboard_away(shown: World, open_page: Open) -> None:
    page = open_page(shown.submitter)
    page.goto(f"/submissions/{shown.running.pk}/")
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    cancel.evaluate("element => { element.dataset.old = true }")
    Step.objects.filter(run__submission=shown.running, state=StepState.RUNNING).update(progress=0.61)
    expect(page.locator("#live")).to_contain_text("61%", timeout=15_000)
    expect(page.locator("button[data-old]")).to_have_count(0)
    expect(cancel).to_be_focused()


def test_what_is_wider_than_a_phone_scrolls_by_its_arrows(shown: World, open_page: Open) -> None:
    page = open_page(viewport=PHONE)
    for address, stop in (
        ("", "#standings"),
        ("?columns=metrics", "#standings"),
        ("first-contact/", ".plot"),
    ):
        page.goto(f"/b/families-v1/{address}")
        scroller = page.locator(stop if stop == "#standings" else "figure.chart").first
        assert scroller.evaluate("element => element.scrollWidth > element.clientWidth"), address
        page.locator(stop).first.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_function("element => element.scrollLeft > 0", arg=scroller.element_handle())
    expect(page.locator(".plot").first).to_have_attribute("aria-label", re.compile("table below"))
