"""The pages of a board as a reader asks for them: filtered, sorted, paged, and as of some day."""

from __future__ import annotations

import html as entities
import re
from dataclasses import fields
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from leaderboard.models import Board, Generator, Submission
from leaderboard.pages.sorting import METRICS
from leaderboard.selectors import selection
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.views import View
from leaderboard.services.boards import board_touch, boards_refresh
from tests.leaderboard.factories import RunFactory, RunScoreFactory, SubmissionFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
BOARD = "/b/families-v1/"
PAGES = (BOARD, f"{BOARD}first-contact/", f"{BOARD}trends/")


def read(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200, address
    return response.content.decode()


def names(html: str) -> list[str]:
    """The detectors of a leaderboard in the order of its rows."""
    return re.findall(r'<th scope="row" class="name"><a [^>]*>([^<]*)</a>', html)


def row(html: str, name: str) -> str:
    """The row of a detector, without mark-up that is not read."""
    (found,) = [part for part in re.findall(r"<tr.*?</tr>", html, re.DOTALL) if f">{name}</a>" in part]
    return found


def arrive(world: World, name: str = "newcomer", **fields: Any) -> Submission:
    """Another detector comes on the board, a day after the board that was there."""
    Board.objects.update(at=F("at") - timedelta(days=1))
    submission: Submission = SubmissionFactory(benchmark=world.benchmark, name=name, **fields)
    run = RunFactory(submission=submission, edition=world.edition, state="succeeded")
    RunScoreFactory(run=run, value=0.99, low=0.98, high=1.0)
    board_touch(world.benchmark.pk)
    assert boards_refresh() == 1
    return submission


def citation(world: World, asof: str = "") -> str:
    shown = shown_board(world.benchmark, asof)
    assert shown is not None
    return shown.citation


# Views and their addresses


def test_a_view_has_one_address_and_a_form_is_sent_on_to_it(world: World, client: Client) -> None:
    asked = {"q": "n", "track": "", "pretraining": "", "seeds": "1", "family": "", "page": "1", "utm": "x"}
    for page in PAGES:
        response = client.get(page, asked)
        assert (response.status_code, response.url) == (302, f"{page}?q=n")
        assert client.get(f"{page}?q=n").status_code == 200
        assert client.get(f"{page}?track=").url == page


def test_every_field_of_the_form_is_a_field_of_views(world: World, client: Client) -> None:
    page = read(client, BOARD)
    form = page[page.index('id="filters"') : page.index("</form>", page.index('id="filters"'))]
    named = set(re.findall(r' name="(\w+)"', form))
    assert named == {"q", "track", "pretraining", "seeds", "family", "prospective"}
    assert named < {field.name for field in fields(View)}


def test_the_form_shows_what_is_asked_for_and_keeps_the_rest(world: World, client: Client) -> None:
    query = "columns=metrics&sort=-tnr&q=net&track=trained&family=flow&seeds=1&asof=edition-1"
    page = read(client, client.get(f"{BOARD}?{query}").url)
    assert 'name="q" value="net"' in page
    assert '<option value="trained" selected>' in page
    assert "<option selected>flow</option>" in page
    assert "<details open>" in page
    for name, value in (("columns", "metrics"), ("sort", "-tnr")):
        assert f'<input type="hidden" form="filters" name="{name}" value="{value}">' in page
    assert '<input type="hidden" name="asof" value="edition-1">' in page


def test_what_no_row_matches_says_so_and_leads_back(world: World, client: Client) -> None:
    page = read(client, f"{BOARD}?q=nothing+like+it")
    assert "No detector is left by these filters." in page
    assert re.search(r'<a href="\?">Show all 4</a>', page)
    assert "No first contact is left" in read(client, f"{BOARD}first-contact/?q=nothing+like+it")


def test_pages_lead_to_each_other(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PAGE_ROWS", 3)
    first = read(client, f"{BOARD}?sort=name")
    assert "1–3 of 4 rows" in first
    following = re.search(r'<a rel="next" href="([^"]*)"', first)
    assert following is not None
    second = read(client, BOARD + entities.unescape(following[1]))
    assert names(first) + names(second) == ["cifake-cnn", "durall-spectrum", "ensemble-of-everything", "npr"]
    assert 'rel="next"' not in second
    assert re.search(r'<a rel="prev" href="\?sort=name"', second)
    beyond = read(client, f"{BOARD}?page=9")
    assert "There are 2 pages." in beyond


def test_other_metrics_and_every_window_are_a_click_away(world: World, client: Client) -> None:
    plain = read(client, BOARD)
    assert {'href="?columns=windows"', 'href="?columns=metrics"'} <= set(re.findall(r'href="[^"]*"', plain))
    metrics = read(client, f"{BOARD}?columns=metrics")
    shown = shown_board(world.benchmark)
    assert shown is not None
    (best,) = shown.snapshot.rows([0])
    for metric in METRICS:
        assert f">{best[metric.key]:.3f}</td>" in row(metrics, "npr")
    assert metrics.count("never ranked<") == 1
    assert 'id="sort-best_balanced_accuracy"' not in metrics
    windows = row(read(client, f"{BOARD}?columns=windows"), "npr")
    for value, low, high in zip(best["windows"], best["windows_low"], best["windows_high"], strict=True):
        assert f"{value:.3f} <small>#1</small>" in windows
        assert f"{low:.3f}–{high:.3f}" in windows


def test_a_row_tells_the_timeline_in_words(world: World, client: Client) -> None:
    page = read(client, BOARD)
    failed = row(page, "ensemble-of-everything")
    assert re.search(r"<title>AUROC window by window: 0\.\d{3}, no value, no value, no value</title>", failed)
    assert failed.count('class="curve"') == 1


def test_null_rows_are_set_apart_and_unranked_wherever_they_stand(world: World, client: Client) -> None:
    arrive(world, "Constant", null_row="constant")
    for query in ("", "?columns=windows", "?columns=metrics", "?sort=name", "?track=training-free"):
        page = read(client, BOARD + query)
        found = row(page, "Constant")
        assert found.startswith('<tr class="null-row">')
        assert "null row: constant" in found
        assert re.search(r'<td class="rank"><span class="missing"', found)
    assert names(read(client, BOARD))[0] == "Constant", "the highest value"
    assert "<b>1</b>" in row(read(client, BOARD), "npr")


def test_private_rows_are_only_for_those_who_may_see_them(world: World) -> None:
    for user, sees in ((None, False), (world.submitter, True), (world.maintainer, True)):
        client = Client()
        if user is not None:
            client.force_login(user)
        for query in ("", "?columns=windows", "?columns=metrics"):
            page = read(client, BOARD + query)
            assert ("unpublished-idea" in page) is sees
            assert ("Private entries that you may see" in page) is sees
        for page in (read(client, f"{BOARD}?asof={citation(world)}"), *(read(client, p) for p in PAGES[1:])):
            assert "unpublished-idea" not in page
    own = row(read(client, BOARD), "unpublished-idea")
    assert "private, not ranked" in own
    assert 'class="sort"' not in read(client, BOARD).split('class="own"')[1]


# As of


def test_a_board_is_byte_for_byte_what_it_was_after_an_arrival(world: World, client: Client) -> None:
    cited = citation(world)
    views = [f"{page}?asof={cited}" for page in PAGES[:2]]
    views += [f"{BOARD}?columns={c}&sort=name&q=r&asof={cited}" for c in ("windows", "metrics")]
    before = [read(client, view, HX_Request="true") for view in views]
    api = f"/api/v1/benchmarks/families-v1/leaderboard/?asof={cited}"
    numbers = client.get(api).json()["rows"]
    arrive(world)
    assert names(read(client, BOARD))[0] == "newcomer"
    assert [read(client, view, HX_Request="true") for view in views] == before
    assert client.get(api).json()["rows"] == numbers
    assert "newcomer" not in "".join(before)


@pytest.mark.parametrize("page", PAGES)
def test_a_past_board_says_which_it_is_and_leads_to_the_present_one(
    world: World, client: Client, page: str
) -> None:
    cited = citation(world)
    arrive(world)
    day = (timezone.now() - timedelta(days=1)).date().isoformat()
    for asof in (cited, day, f"{day}T23:59:59"):
        html = read(client, f"{page}?{urlencode({'asof': asof})}")
        assert "This is a past board: edition 1" in html
        assert '<a href="?">Show the present board.</a>' in html
        assert "newcomer" not in html
    for query in ("", "?asof=edition-1", f"?asof={citation(world)}"):
        html = read(client, page + query)
        assert "This is a past board" not in html
        assert "newcomer" in html or page.endswith("first-contact/")
    for past in (cited, citation(world)):
        assert f'<li><a href="?asof={past}"' in read(client, page)


def test_the_way_between_pages_keeps_the_day(world: World, client: Client) -> None:
    for page in PAGES:
        html = read(client, f"{page}?asof=edition-1")
        for other in PAGES:
            assert f'<a href="{other}?asof=edition-1"' in html
        assert f'<a href="{PAGES[1]}"' in read(client, page)


def test_a_past_board_names_what_was_withdrawn_since(world: World, client: Client) -> None:
    cited = citation(world)
    arrive(world)
    assert "Withdrawn since" not in read(client, f"{BOARD}?asof={cited}")
    Generator.objects.filter(slug="vq-16").update(withdrawn_at=timezone.now())
    html = read(client, f"{BOARD}?asof={cited}")
    assert re.search(r"Withdrawn since, with all scores on it: Vector-quantised patches", html)


@pytest.mark.parametrize("asof", ["2020-01-01", "edition-7", "f" * 16, "yesterday", "9999-12-31", "<b>"])
@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_board_is_clearly_not_found(world: World, client: Client, page: str, asof: str) -> None:
    response = client.get(page, {"asof": asof})
    assert response.status_code == 404
    html = response.content.decode()
    assert "This benchmark has no such board." in html
    assert "Simulated corpus" in html
    assert f'<li><a href="?asof={citation(world)}"' in html, "these there are"
    assert "<b>" not in html


def test_the_link_to_a_view_cites_its_board(world: World, client: Client) -> None:
    for page in (BOARD, f"{BOARD}first-contact/"):
        html = read(client, f"{page}?sort=name&q=r")
        (link,) = re.findall(r'<a href="([^"]*)">Link to this view as it is now', html)
        assert entities.unescape(link) == f"?sort=name&q=r&asof={citation(world)}"
        assert names(read(client, page + entities.unescape(link))) == names(html)


# What comes from outside

HOSTILE = (
    "\x00",
    "'; DROP TABLE leaderboard_board; --",
    "<script>alert(1)</script>",
    "%s%n%00",
    "9" * 400,
    "-9223372036854775809",
    "edition-99999999999999999999",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "٣٢١",
    "w99999999999",
    "-w0",
    "NaN",
    "\\",
    "../../etc/passwd",
)


@pytest.mark.parametrize("field", [field.name for field in fields(View)])
@pytest.mark.parametrize("page", [*PAGES, "/api/v1/benchmarks/families-v1/leaderboard/"])
def test_no_value_breaks_a_page(world: World, client: Client, page: str, field: str) -> None:
    for value in HOSTILE:
        response = client.get(page, {field: value}, follow=True)
        is_unknown = field == "asof" and value.strip("\x00 ")
        assert response.status_code == (404 if is_unknown else 200), value
        assert b"<script>alert" not in response.content


def test_no_raw_query_breaks_a_page(world: World, client: Client) -> None:
    for query in ("q=%ff%fe", "q=a&q=b", "sort", "&&&", "page=1&page=2", "%00=1", "asof=%ed%a0%80"):
        for page in PAGES:
            assert client.get(f"{page}?{query}", follow=True).status_code in (200, 404), query


# How much is asked for


@pytest.mark.parametrize("n_more", [0, 60])
def test_queries_do_not_grow_with_the_board(
    world: World, client: Client, n_more: int, django_assert_num_queries: Any
) -> None:
    for i in range(n_more):
        submission = SubmissionFactory(benchmark=world.benchmark, name=f"more-{i}")
        RunScoreFactory(run=RunFactory(submission=submission, edition=world.edition, state="succeeded"))
    board_touch(world.benchmark.pk)
    boards_refresh()
    expected = {
        BOARD: 9,
        f"{BOARD}?columns=metrics&sort=name": 9,
        f"{BOARD}first-contact/?family=flow": 5,
        f"{BOARD}trends/": 5,
        "/": 12,
    }
    for address, n_queries in expected.items():
        client.get(address)
        with django_assert_num_queries(n_queries):
            client.get(address)
