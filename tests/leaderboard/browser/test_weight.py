"""What a first visit costs: every page as the production server sends it, counted by the browser."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from leaderboard.services.boards import board_touch, boards_refresh
from local.processes import end, free_port, spawn
from local.stack import web_command
from protocols.states import RunState
from tests.leaderboard.factories import RunFactory, RunScoreFactory, SubmissionFactory
from tests.leaderboard.showcase import Place, Showcase, build_showcase

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).parents[3]
# Of all that a page loads, as sent and with its headers, but for the library that draws charts.
LIMIT_BYTES = 300_000
LIBRARY = "/static/plotly/"
# Where visitors come in. Nothing is drawn with the library there, so nobody waits for it.
FIRST = {"home", "leaderboard", "leaderboard-metrics", "leaderboard-windows"}
# More than a page of the board shows.
N_ROWS = 120


@pytest.fixture
def showcase(transactional_db: None) -> Showcase:
    """A site whose board fills its page."""
    made = build_showcase(n_detectors=4)
    for n in range(N_ROWS):
        submission = SubmissionFactory(benchmark=made.world.benchmark, name=f"entry-{n:03}")
        run = RunFactory(submission=submission, edition=made.world.edition, state=RunState.SUCCEEDED)
        RunScoreFactory(run=run, value=0.6 + n / 1000, low=0.58 + n / 1000, high=0.62 + n / 1000)
    board_touch(made.world.benchmark.pk)
    boards_refresh()
    return made


@pytest.fixture
def server(showcase: Showcase, process_env: Mapping[str, str], tmp_path: Path) -> Iterator[str]:
    """The production server with its assets collected and compressed, as ``make serve`` starts it."""
    env = {**process_env, "TIDEMARK_HOME": str(tmp_path), "STATIC_FROM_SOURCE": "0"}
    collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "-v0"]
    subprocess.run(collect, cwd=ROOT, env=env, check=True)
    port = free_port()
    process = spawn(web_command(port), tmp_path / "web.log", env=env)
    url, until = f"http://127.0.0.1:{port}", monotonic() + 90
    while True:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/health/live", timeout=10)
            break
        assert monotonic() < until, "the server does not answer"
        sleep(0.1)
    yield url
    end(process, 10)


def test_every_page_is_light_and_asks_nobody_else(browser: Browser, server: str, showcase: Showcase) -> None:
    heavy, drawn = {}, {}
    for place in showcase.places:
        if place.user is None and place.status == 200:
            sent = _sent(browser, server, place)
            assert all(url.startswith((server, "data:")) for url in sent), place
            drawn[place.name] = sum(n for url, n in sent.items() if LIBRARY in url)
            weight = sum(sent.values()) - drawn[place.name]
            assert weight > 1_000, place
            if weight > LIMIT_BYTES:
                heavy[place.name] = weight
    assert heavy == {}
    assert {name for name in FIRST if drawn[name]} == set()
    assert drawn["detector"] > LIMIT_BYTES, "the library is what the limit leaves out"


def _sent(browser: Browser, server: str, place: Place) -> Counter[str]:
    """The bytes that came for each address that a first visit asks for."""
    page = browser.new_context(base_url=server).new_page()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    addresses: dict[str, str] = {}
    sent: Counter[str] = Counter()

    def asked(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def came(event: dict[str, Any]) -> None:
        sent[addresses[event["requestId"]]] += round(event["encodedDataLength"])

    network.on("Network.requestWillBeSent", asked)
    network.on("Network.loadingFinished", came)
    page.goto(place.address)
    # What was told before its answer has been told by then.
    page.evaluate("document.readyState")
    page.context.close()
    return sent
