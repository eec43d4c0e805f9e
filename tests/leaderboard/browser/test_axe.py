"""axe-core finds nothing on any page, light and dark, on a phone and on a desktop.

The API's documentation is left out: its page is Swagger's, which is not ours to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Browser, BrowserContext, Page
from pytest_django.live_server_helper import LiveServer

from leaderboard.models import User
from tests.leaderboard.browser.conftest import DESKTOP, PHONE
from tests.leaderboard.showcase import Showcase, build_showcase
from tests.leaderboard.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# All rules that axe has on by default: WCAG up to 2.2 AA, and its own best practices. A theme changes
# colours alone, so that the dark one is asked for those.
THEMES = {
    "light": "axe.run(document, {resultTypes: ['violations']})",
    "dark": "axe.run(document, {resultTypes: ['violations'], runOnly: ['color-contrast']})",
}
# Pages that come out when something is wrong and that no address leads to.
ERRORS = ("403_csrf.html", "429.html", "500.html")
# Routes that answer with a file or a picture, or that take a form and lead to another page.
NO_PAGES = {
    *("arrivals-feed", "samples", "desk-cost-csv", "desk-batch-contact-sheet", "site-picture"),
    *("board-citation", "board-picture", "generator-picture", "compare-file", "generator-file"),
    *("leaderboard-file", "first-contact-file", "matrix-file", "periods-file", "scores-file"),
    *("detector-badge", "detector-citation", "detector-picture", "theme"),
    *("submission-cancel", "submission-retry", "submission-seed", "submission-withdraw", "submission-delete"),
    *("webhook-ping", "webhook-delete", "account-tokens-revoke", "account-token-revoke"),
    *("team-rename", "team-delete", "team-invite", "team-invitation-resend", "team-invitation-revoke"),
    *("team-member-role", "team-member-remove", "desk-team-quotas"),
    *("desk-account-close", "desk-account-reopen", "desk-approve", "desk-free", "desk-batch-submit"),
    *("desk-generator-samples", "desk-generator-withdraw", "desk-generator-redate"),
    # Other names of the same pages.
    *("login", "logout"),
}

PageOf = Callable[[User | None], Page]


@pytest.fixture
def showcase(transactional_db: None) -> Showcase:
    return build_showcase(n_detectors=3)


@pytest.fixture
def page_of(browser: Browser, live_server: LiveServer) -> Iterator[PageOf]:
    """A page for a reader. Unlike others, those that answer with an error are welcome here."""
    contexts: list[BrowserContext] = []

    def page_of(reader: User | None) -> Page:
        context = browser.new_context(base_url=live_server.url)
        contexts.append(context)
        if reader is not None:
            client = Client()
            client.force_login(reader)
            cookie = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        return context.new_page()

    yield page_of
    for context in contexts:
        context.close()


def test_axe_finds_nothing_on_any_page(page_of: PageOf, showcase: Showcase) -> None:
    pages = {reader: page_of(reader) for reader in {place.user for place in showcase.places}}
    found: list[str] = []
    for place in showcase.places:
        page = pages[place.user]
        answer = page.goto(place.address)
        assert answer is not None
        assert answer.status == place.status, place
        assert "?next=" not in page.url, f"{place} is not for {place.user}"
        found += [f"{place.name}: {finding}" for finding in _findings(page)]
    page = pages[None]
    for name in ERRORS:
        request = RequestFactory().get("/")
        request.user = AnonymousUser()
        html = render_to_string(name, request=request)
        page.goto("/")
        page.set_content(html)
        found += [f"{name}: {finding}" for finding in _findings(page)]
    assert found == []


def test_axe_would_find_something(page_of: PageOf, shown: World) -> None:
    page = page_of(None)
    page.goto("/")
    page.evaluate("document.querySelector('h1').style.color = '#bbb'")
    page.evaluate("document.querySelector('nav').insertAdjacentHTML('beforeend', '<a href=\"/\"></a>')")
    findings = " ".join(_findings(page))
    assert "color-contrast" in findings
    assert "link-name" in findings


def test_every_page_is_looked_at(showcase: Showcase) -> None:
    seen = {_name(place.address) for place in showcase.places}
    assert set(_routes(get_resolver("leaderboard.pages.urls"))) - seen == NO_PAGES


def _findings(page: Page) -> Iterator[str]:
    """What axe says of the page as it is loaded, in both widths and both themes."""
    page.evaluate(AXE_SCRIPT)
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        for theme, run in THEMES.items():
            page.emulate_media(color_scheme=theme)
            # Charts are drawn anew for a new width, in a frame of the browser's own.
            page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            for violation in page.evaluate(run)["violations"]:
                for node in violation["nodes"]:
                    where = f"{viewport['width']} {theme}"
                    yield f"{violation['id']} at {node['target']} ({where}): {node['html'][:120]}"


def _routes(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            assert pattern.name
            yield pattern.name
        else:
            yield from _routes(pattern)


def _name(address: str) -> str | None:
    try:
        return resolve(address.partition("?")[0]).url_name
    except Resolver404:
        return None
