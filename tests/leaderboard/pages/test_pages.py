from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse

from leaderboard.models import Submission
from leaderboard.pages.boards import axis_floor
from leaderboard.selectors.snapshots import shown_board
from leaderboard.services.boards import board_touch, boards_refresh
from leaderboard.templatetags.tidemark import THIN_SPACE
from protocols.states import RunState
from tests.leaderboard.factories import PASSWORD, UserFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


def pages(world: World) -> list[str]:
    """Every page of the world that a visitor may read."""
    slug = world.benchmark.slug
    return [
        reverse("home"),
        reverse("leaderboard", args=[slug]),
        reverse("first-contact", args=[slug]),
        reverse("trends", args=[slug]),
        reverse("generators", args=[world.corpus.slug]),
        *(
            reverse(name, args=[submission.pk])
            for name in ("detector", "submission")
            for submission in (world.succeeded[0], world.running, world.queued, world.failed)
        ),
    ]


def read(client: Client, address: str, status: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == status, address
    return response.content.decode()


def names(html: str) -> list[str]:
    """The detectors of a leaderboard in the order of its rows."""
    return re.findall(r'<th scope="row" class="name"><a [^>]*>([^<]*)</a>', html)


@pytest.fixture
def owner(world: World) -> Client:
    client = Client()
    client.force_login(world.submitter)
    return client


def test_every_page_of_results_marks_a_simulated_corpus(world: World, client: Client) -> None:
    for address in pages(world):
        html = read(client, address)
        assert '<span class="simulated"' in html, address
        if (heading := re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)) and address != "/":
            assert "Simulated corpus" in heading[1], address
        for caption in re.findall(r"<caption.*?</caption>", html, re.DOTALL):
            assert "Simulated corpus" in caption or "Seconds of each step" in caption, (address, caption)


def test_no_page_loads_anything_from_elsewhere_or_runs_inline_script(world: World, owner: Client) -> None:
    for address in [*pages(world), reverse("submissions"), reverse("login")]:
        html = read(owner, address) if address != reverse("login") else read(Client(), address)
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', html), address
        for attributes in re.findall(r"<script([^>]*)>", html):
            assert "src=" in attributes or 'type="application/json"' in attributes, (address, attributes)


def test_every_link_leads_somewhere(world: World, owner: Client) -> None:
    addresses = [*pages(world), reverse("submissions")]
    linked = {
        link.split("#")[0]
        for address in addresses
        for link in re.findall(r'href="(/[^"]*)"', read(owner, address))
        if not link.startswith("/static/")
    }
    assert {"/api/docs/", reverse("detector", args=[world.succeeded[1].pk])} <= linked
    assert [link for link in sorted(linked) if owner.get(link).status_code != 200] == []


def test_only_pages_with_charts_load_plotly_and_they_defer_it(world: World, client: Client) -> None:
    with_charts = [
        reverse("first-contact", args=[world.benchmark.slug]),
        reverse("trends", args=[world.benchmark.slug]),
        reverse("detector", args=[world.succeeded[0].pk]),
        reverse("detector", args=[world.running.pk]),
        reverse("detector", args=[world.failed.pk]),
    ]
    for address in pages(world):
        html = read(client, address)
        assert ("plotly.min.js" in html) is (address in with_charts), address
        assert ("data-figure" in html) is (address in with_charts), address
    assert re.search(r'plotly\.min\.js" defer', read(client, with_charts[0]))


def test_plotly_comes_from_its_package_and_nothing_else_does() -> None:
    path = finders.find("plotly/plotly.min.js")
    assert path is not None
    assert path.endswith("package_data/plotly.min.js")
    assert not finders.find("plotly/datasets")
    assert not finders.find("plotly/../__init__.py")


def test_the_board_shows_ranks_intervals_and_dashes(world: World, client: Client) -> None:
    html = read(client, reverse("leaderboard", args=[world.benchmark.slug]))
    assert names(html) == ["npr", "durall-spectrum", "cifake-cnn", "ensemble-of-everything"]
    assert re.search(r'2 seeds <span class="spread">0\.\d{3}–0\.\d{3}</span>', html)
    assert "single run" in html
    assert "Nearest ×2 with a binomial blur" in html
    last = html[html.index("ensemble-of-everything") :]
    assert '<span class="missing" title="no value">–</span>' in last[: last.index("</tr>")]
    assert "4 of 8 steps" in html
    assert "unpublished-idea" not in html


def test_sorting_needs_no_script(world: World, client: Client) -> None:
    address = reverse("leaderboard", args=[world.benchmark.slug])
    assert 'href="?sort=cost"' in read(client, address)
    by_cost = read(client, address + "?sort=cost")
    assert names(by_cost) == ["ensemble-of-everything", "durall-spectrum", "cifake-cnn", "npr"]
    assert re.search(r'aria-sort="ascending"><a class="sort" id="sort-cost" href="\?sort=-cost"', by_cost)
    assert names(read(client, address + "?sort=nonsense")) == names(read(client, address))


def test_one_view_serves_the_page_and_its_live_part(world: World, client: Client) -> None:
    for address, part in [
        (reverse("leaderboard", args=[world.benchmark.slug]), 'id="board"'),
        (reverse("first-contact", args=[world.benchmark.slug]), 'id="board"'),
        (reverse("submission", args=[world.running.pk]), 'id="live"'),
    ]:
        response = client.get(address, headers={"HX-Request": "true"})
        partial = response.content.decode()
        assert "<html" not in partial
        assert part in partial
        assert partial.strip() in read(client, address)
        assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize(
    ("which", "polls"), [("running", True), ("queued", True), ("failed", False), ("rejected", False)]
)
def test_a_page_polls_until_nothing_can_change(world: World, owner: Client, which: str, polls: bool) -> None:
    html = read(owner, reverse("submission", args=[getattr(world, which).pk]))
    assert ("hx-trigger" in html) is polls
    assert ('http-equiv="refresh"' in html) is polls


def test_a_board_polls_only_while_something_runs(world: World, client: Client) -> None:
    address = reverse("leaderboard", args=[world.benchmark.slug])
    assert 'hx-trigger="every 5s"' in read(client, address)
    citation = shown_board(world.benchmark).citation
    assert "every 5s" not in read(client, f"{address}?asof={citation}"), "a cited board never changes"
    for submission in (world.running, world.queued):
        submission.runs.update(state=RunState.CANCELLED)
    assert "every 5s" not in read(client, address)


def test_a_fault_says_what_and_what_to_do_and_details_only_to_the_owner(world: World, owner: Client) -> None:
    address = reverse("submission", args=[world.failed.pk])
    mine, public = read(owner, address), read(Client(), address)
    for html in (mine, public):
        assert "The container needed more memory than the benchmark grants." in html
        assert "Use smaller batches or fewer data-loader workers." in html
    assert "more than 6.0 GiB" in mine
    assert "Killed\n" in mine
    assert "worker-1@host" in mine
    for private in ("more than 6.0 GiB", "Killed", "worker-1@host", "?log="):
        assert private not in public


def test_what_may_not_be_seen_is_not_found(world: World, client: Client) -> None:
    for name in ("detector", "submission"):
        html = read(client, reverse(name, args=[world.private.pk]), status=404)
        assert "There is nothing at this address that you may see." in html
        read(client, reverse(name, args=[uuid4()]), status=404)
    read(client, reverse("submission", args=[world.rejected.pk]), status=404)
    read(client, reverse("leaderboard", args=["nothing"]), status=404)
    read(client, reverse("generators", args=["nothing"]), status=404)


def test_the_owner_cancels_with_a_button(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.submitter)
    page = reverse("submission", args=[world.running.pk])
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', read(client, page))[1]
    response = client.post(
        reverse("submission-cancel", args=[world.running.pk]), {"csrfmiddlewaretoken": token}, follow=True
    )
    html = response.content.decode()
    assert response.redirect_chain == [(page, 302)]
    assert "Cancelled." in html
    assert "being cancelled" in html
    run = Submission.objects.get(pk=world.running.pk).runs.get()
    assert run.cancel_requested
    assert sorted(run.steps.values_list("state", flat=True)).count("cancelled") == 3


def test_nobody_else_cancels(world: World) -> None:
    address = reverse("submission-cancel", args=[world.running.pk])
    visitor, stranger, owner = Client(), Client(), Client(enforce_csrf_checks=True)
    stranger.force_login(UserFactory())
    owner.force_login(world.submitter)
    assert visitor.post(address).status_code == 302
    assert stranger.post(address).status_code == 403
    assert stranger.post(reverse("submission-cancel", args=[world.private.pk])).status_code == 404
    assert owner.post(address).status_code == 403, "without a CSRF token"
    assert stranger.get(address).status_code == 405
    assert not world.running.runs.get().cancel_requested


def test_cancelling_what_has_ended_says_so(world: World, owner: Client) -> None:
    response = owner.post(reverse("submission-cancel", args=[world.failed.pk]), follow=True)
    assert "is under way" in response.content.decode()


def test_the_team_runs_an_entry_with_another_seed(
    world: World, owner: Client, client: Client, settings: LazySettings
) -> None:
    entry, form = world.succeeded[0], 'id="another-seed"'
    page, address = (reverse(name, args=[entry.pk]) for name in ("submission", "submission-seed"))
    assert form not in read(client, page)
    # It would be polled away while somebody fills it in.
    assert form not in read(owner, page, **{"HX-Request": "true"})
    html = read(owner, page)
    assert 'value="2" required' in html
    assert "the seeds 0, 1;" in html
    # Training took 412 s more at each of four windows, and scoring a quarter of that each time.
    assert f"<b>4{THIN_SPACE}532 container seconds</b>" in html
    assert "1 of 20 checks and runs under way" in html
    for seed, told in (
        ("2", "It runs with another seed."),
        ("2", "has a run with seed 2"),
        ("x", "A seed is"),
    ):
        assert told in owner.post(address, {"seed": seed}, follow=True).content.decode()
    assert sorted(entry.runs.values_list("seed", flat=True)) == [0, 1, 2]
    settings.QUOTA_ACTIVE_RUNS = 2
    html = read(owner, page)
    assert form not in html
    assert "There is no room for another until one has ended." in html
    settings.MAX_SEEDS = 3
    for full_or_failed in (entry, world.failed):
        assert '<section class="seed"' not in read(owner, reverse("submission", args=[full_or_failed.pk]))


def test_signing_in_leads_to_what_was_asked_for(world: World) -> None:
    client = Client()
    response = client.get(reverse("submissions"))
    assert response.url == "/login/?next=/submissions/"
    wrong = client.post(response.url, {"login": world.submitter.username, "password": "wrong"})
    assert 'role="alert"' in wrong.content.decode()
    right = {"login": world.submitter.username, "password": PASSWORD, "next": "/submissions/"}
    response = client.post(reverse("login"), right, follow=True)
    html = response.content.decode()
    assert response.redirect_chain == [("/submissions/", 302)]
    assert "patchcraft-192" in html
    assert "unpublished-idea" in html
    assert client.post(reverse("logout")).url == reverse("home")


def test_the_theme_is_remembered_without_script(client: Client) -> None:
    assert '<html lang="en" data-theme="auto">' in read(client, "/")
    response = client.post(reverse("theme"), {"theme": "dark", "next": "/login/"})
    assert response.url == "/login/"
    assert '<html lang="en" data-theme="dark">' in read(client, "/")
    assert client.post(reverse("theme"), {"theme": "mauve"}).status_code == 400
    assert client.post(reverse("theme"), {"theme": "light", "next": "https://elsewhere.example/"}).url == "/"
    client.cookies["theme"] = '"><script>'
    assert 'data-theme="auto"' in read(client, "/")


def test_error_pages_come_out_when_nothing_else_does(rf: RequestFactory) -> None:
    assert "The server failed." in render_to_string("500.html")
    for template in ("403.html", "403_csrf.html", "404.html"):
        assert "<h1>" in render_to_string(template, request=rf.get("/x"))


def test_hostile_names_stay_text(world: World, client: Client) -> None:
    name = "<script>alert(1)</script>\"'</style>"
    Submission.objects.filter(pk=world.succeeded[0].pk).update(name=name, description=name)
    board_touch(world.benchmark.pk)
    boards_refresh()
    for address in pages(world):
        html = read(client, address)
        assert "<script>alert" not in html, address
        assert "</style>" not in html.replace(
            "<noscript><style>.chart { display: none }</style></noscript>", ""
        ), address


@pytest.mark.parametrize(
    ("lows", "floor"), [([0.62, None], 0.5), ([0.41, 0.9], 0.4), ([], 0.5), ([0.0], 0.0)]
)
def test_the_axis_of_intervals_holds_the_lowest(lows: list[float | None], floor: float) -> None:
    assert axis_floor(lows) == floor
