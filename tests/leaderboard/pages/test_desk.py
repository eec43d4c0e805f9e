"""The maintainers' desk as its readers meet it."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from leaderboard.models import Action, Artifact, Edition, WorkerBeat
from leaderboard.pages.desk import cell
from leaderboard.pages.urls import urlpatterns
from leaderboard.services.audit import Verb, record
from protocols.states import BatchState, StepState
from tests.leaderboard.factories import BatchFactory, EditionFactory, StepFactory, UserFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db

PARTS = ["", "-arrivals", "-queue", "-workers", "-failures", "-storage", "-cost", "-log"]


@pytest.fixture
def maintainer(world: World) -> Client:
    client = Client()
    client.force_login(world.maintainer)
    return client


def read(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200, address
    return response.content.decode()


def test_nobody_but_maintainers_gets_into_any_page_of_the_desk(world: World) -> None:
    arguments = {"int": "1", "str": "artifacts", "uuid": str(world.running.pk), "slug": "families"}
    routes = [str(p.pattern) for p in urlpatterns if isinstance(p, URLPattern)]
    addresses = [
        "/" + re.sub(r"<(\w+):\w+>", lambda match: arguments[match[1]], route)
        for route in routes
        if route.startswith("desk/")
    ]
    assert len(addresses) >= 11
    stranger = Client()
    stranger.force_login(world.submitter)
    for address in addresses:
        for method in ("get", "post"):
            # A view may refuse the method before it asks who is there; it never answers.
            answer = getattr(Client(), method)(address)
            assert answer.status_code in (302, 405), address
            if answer.status_code == 302:
                assert answer["Location"].startswith("/login/"), address
            assert getattr(stranger, method)(address).status_code in (403, 405), address


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_a_page_of_its_own_with_links_that_lead_somewhere(
    world: World, maintainer: Client, part: str
) -> None:
    html = read(maintainer, reverse(f"desk{part}"))
    assert html.count('aria-current="page"') == 1
    assert " style=" not in html
    links = {link.split("#")[0] for link in re.findall(r'href="(/[^"]*)"', html)}
    links = {link for link in links if not link.startswith(("/static/", "/api/"))}
    assert [link for link in sorted(links) if maintainer.get(link).status_code != 200] == []


@pytest.mark.parametrize("part", ["", "-arrivals", "-queue", "-workers"])
def test_a_live_part_is_what_the_page_shows(world: World, maintainer: Client, part: str) -> None:
    address = reverse(f"desk{part}")
    live = read(maintainer, address, **{"HX-Request": "true"})
    assert "<html" not in live
    token = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
    assert token.sub("", live).strip() in token.sub("", read(maintainer, address))


def test_the_front_asks_for_what_only_a_maintainer_can_decide(world: World, maintainer: Client) -> None:
    sealed = BatchFactory(corpus=world.corpus, state=BatchState.SEALED)
    waiting = EditionFactory(benchmark=world.benchmark, number=7, opened_at=None)
    WorkerBeat.objects.create(
        name="gone@host",
        started_at=timezone.now() - timedelta(hours=2),
        seen_at=timezone.now() - timedelta(hours=1),
    )
    html = read(maintainer, reverse("desk"))
    needs = html[html.index("Needs you now") : html.index("How it stands")]
    assert sealed.generator.slug in needs
    assert "gone@host" in needs
    assert reverse("desk-approve", args=[waiting.pk]) in needs
    # The most pressing first.
    assert needs.index("gone@host") < needs.index("Approve training") < needs.index(sealed.generator.slug)


def test_approving_opens_the_edition_with_its_budget_and_is_logged(world: World, maintainer: Client) -> None:
    waiting = EditionFactory(benchmark=world.benchmark, number=7, opened_at=None, windows=1)
    address = reverse("desk-approve", args=[waiting.pk])
    refused = maintainer.post(address, {"budget_h": "-1"}, follow=True).content.decode()
    assert "A budget is a number of hours above 0" in refused
    assert Edition.objects.get(pk=waiting.pk).opened_at is None
    maintainer.post(address, {"budget_h": "1.5"})
    opened = Edition.objects.get(pk=waiting.pk)
    assert opened.opened_at is not None
    assert opened.budget_s == 5400
    assert opened.runs.count() > 0
    action = Action.objects.get(verb=Verb.EDITION_OPENED)
    assert (action.actor, action.detail["budget_s"]) == (world.maintainer.username, 5400)


def test_a_page_with_a_field_is_not_loaded_anew_under_somebodys_hands(
    world: World, maintainer: Client
) -> None:
    front = reverse("desk")
    assert '<div id="desk" hx-get=' in read(maintainer, front)
    EditionFactory(benchmark=world.benchmark, number=7, opened_at=None)
    html = read(maintainer, front)
    assert '<div id="desk">' in html
    assert '<section id="standing" hx-get=' in html


def test_the_workers_page_links_to_what_each_does(world: World, maintainer: Client) -> None:
    now = timezone.now()
    step = world.running.runs.get().steps.get(state=StepState.RUNNING)
    type(step).objects.filter(pk=step.pk).update(leased_by="gpu-1@host")
    WorkerBeat.objects.create(
        name="gpu-1@host", gpus=["0", "1"], engine="podman 5.4.0", started_at=now, seen_at=now
    )
    WorkerBeat.objects.create(
        name="<b>@host", started_at=now, seen_at=now, problem="The engine does not answer: <script>"
    )
    html = read(maintainer, reverse("desk-workers"))
    assert f"{reverse('submission', args=[world.running.pk])}#step-{step.pk}" in html
    assert "0, 1" in html
    assert "podman 5.4.0" in html
    assert "42%" in html
    assert "&lt;b&gt;@host" in html
    assert "<script>" not in html.replace("<script src", "")


def test_failures_name_their_owner_and_link_to_what_they_ended(world: World, maintainer: Client) -> None:
    run = world.failed.runs.get()
    run.steps.filter(state=StepState.FAILED).update(finished_at=timezone.now())
    StepFactory(run=run, window=40, state=StepState.FAILED, error_code="internal", finished_at=timezone.now())
    html = read(maintainer, reverse("desk-failures"))
    # What the platform did comes before what a container did.
    assert html.index("<code>internal</code>") < html.index("<code>container_oom</code>")
    assert reverse("submission", args=[world.failed.pk]) in html
    assert "The platform has a defect." in html


def test_the_log_is_filtered_and_goes_page_by_page(world: World, maintainer: Client) -> None:
    for number in range(60):
        record("ada", Verb.BATCH_CREATED, f"generator-{number}")
    record("noor", Verb.STORAGE_FREED, "artifacts", reason="The disk was full.", size_bytes=4711)
    address = reverse("desk-log")
    html = read(maintainer, address)
    assert "1 of 2" in html
    older = read(maintainer, f"{address}?page=2")
    assert "generator-0<" in older
    assert "generator-0<" not in html
    for query in ("actor=noor", "verb=storage+freed", "text=4711", "text=DISK+was"):
        found = read(maintainer, f"{address}?{query}")
        assert "1 action," in found, query
        assert "The disk was full." in found
    assert "No action fits." in read(maintainer, f"{address}?text=%00nothing")


def test_a_filter_survives_the_next_page(world: World, maintainer: Client) -> None:
    for number in range(120):
        record("ada", Verb.BATCH_CREATED, f"generator-{number}")
    html = read(maintainer, reverse("desk-log") + "?actor=ada&page=2")
    assert 'rel="next" href="?actor=ada&amp;page=3"' in html
    assert 'rel="prev" href="?actor=ada&amp;page=1"' in html


def test_the_cost_as_csv_is_the_cost_of_the_page(
    world: World, maintainer: Client, settings: LazySettings
) -> None:
    settings.CPU_HOUR_COST, settings.GPU_HOUR_COST, settings.CURRENCY = 0.05, 2.0, "EUR"
    html = read(maintainer, reverse("desk-cost"))
    answer = maintainer.get(reverse("desk-cost-csv"))
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    (noor,) = [row for row in rows if row["owner"] == "noor" and row["period"] == "all"]
    assert float(noor["cpu_s"]) == 2 * float(noor["container_s"]) > 0
    assert float(noor["cost"]) == pytest.approx(float(noor["cpu_s"]) / 3600 * 0.05, abs=0.005)
    assert noor["currency"] == "EUR"
    assert f"{float(noor['cost']):.2f}" in html


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx"])
def test_no_owner_is_a_formula(name: str) -> None:
    assert cell(name) == f"'{name}"
    assert cell("noor") == "noor"


def test_artifacts_are_told_by_kind_of_set(world: World, maintainer: Client) -> None:
    for key, kind in (("a", "train"), ("b", "train"), ("c", "frozen")):
        Artifact.objects.create(key=key * 64, kind=kind, files=[], size_bytes=2**20)
    html = read(maintainer, reverse("desk-storage")).replace("\xa0", " ")
    assert "2 train, 2.0 MB; 1 frozen, 1.0 MB" in html


def test_the_button_frees_a_kind_and_says_what_came_of_it(world: World, maintainer: Client) -> None:
    answer = maintainer.post(reverse("desk-free", args=["uploads"]), follow=True).content.decode()
    assert "Freed 0 of uploads" in answer
    assert (
        "Everything of this kind is needed for good."
        in maintainer.post(reverse("desk-free", args=["lists"]), follow=True).content.decode()
    )
    assert maintainer.post(reverse("desk-free", args=["everything"])).status_code == 404
    assert maintainer.get(reverse("desk-free", args=["uploads"])).status_code == 405
    assert Action.objects.get(verb=Verb.STORAGE_FREED).actor == world.maintainer.username


def test_a_maintainer_who_is_no_more_is_refused(world: World) -> None:
    former = UserFactory(maintainer=True)
    client = Client()
    client.force_login(former)
    assert client.get(reverse("desk")).status_code == 200
    former.is_staff = False
    former.save()
    assert client.get(reverse("desk")).status_code == 403
