"""Frames on other pages, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.test import Client
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from tests.leaderboard.browser.conftest import DESKTOP, PHONE, Open
from tests.leaderboard.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A site of another origin whose page is the last text of a list."""
    pages: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages[-1].encode())

        def log_message(self, *args: object) -> None:
            """The test's own requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", pages
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_elsewhere_shows_the_frame_that_it_was_given(
    shown: World, live_server: LiveServer, browser: Browser, elsewhere: tuple[str, list[str]]
) -> None:
    site, pages = elsewhere
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    for address in (f"/detectors/{shown.succeeded[0].pk}/", f"/b/{shown.benchmark.slug}/"):
        page.goto(live_server.url + address)
        page.locator("details.sharing > summary").click()
        code = page.locator('pre[aria-label="Frame in HTML"]').inner_text()
        pages.append(f"<!doctype html>{code.replace('http://127.0.0.1:8000', live_server.url)}")
        page.goto(site)
        frame = page.locator("iframe").element_handle().content_frame()
        assert frame is not None
        frame.wait_for_selector("svg")
        assert frame.url == f"{live_server.url}{address}embed/"
        assert frame.evaluate("document.documentElement.scrollHeight <= innerHeight"), "nothing to scroll"
        assert "Simulated corpus" in frame.inner_text("h1")
    context.close()


def test_no_other_page_can_be_framed(shown: World) -> None:
    for address in ("/", "/login/", f"/detectors/{shown.succeeded[0].pk}/"):
        assert Client().get(address).headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_frame_fits_a_phone_and_follows_the_theme(shown: World, open_page: Open, scheme: str) -> None:
    page = open_page(viewport=PHONE, color_scheme=scheme)
    for address in (f"/detectors/{shown.succeeded[0].pk}/embed/", f"/b/{shown.benchmark.slug}/embed/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(251, 250, 246)", "dark": "rgb(16, 22, 28)"}[scheme]
        small = page.evaluate(
            "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
        )
        assert min(small) >= 10, "text that can be read"


def test_a_badge_is_drawn_whole(shown: World, open_page: Open) -> None:
    page = open_page()
    page.goto(f"/detectors/{shown.succeeded[0].pk}/badge.svg")
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('text')].map(t => t.getBoundingClientRect().right))"
    )
    assert 0 < right < page.evaluate("document.documentElement.getBoundingClientRect().right")
