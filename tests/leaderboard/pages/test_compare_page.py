"""The page of comparisons, and the JSON of the same numbers."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.test import Client

from leaderboard.models import Submission
from leaderboard.selectors.compare import Comparison, comparison
from leaderboard.templatetags.differences import p_value, signed_interval
from tests.leaderboard.factories import SubmissionFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
PAGE, API = "/b/families-v1/compare/", "/api/v1/benchmarks/families-v1/compare/"


def query(*submissions: Submission) -> str:
    return "?" + "&".join(f"d={s.pk}" for s in submissions)


def read(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return response.content.decode()


def compared(world: World, *submissions: Submission) -> Comparison:
    found = comparison(world.benchmark, [s.pk for s in submissions], None)
    assert found is not None
    return found


def test_the_tables_hold_the_differences_of_the_charts(world: World, client: Client) -> None:
    html = read(client, PAGE + query(*world.succeeded))
    found = compared(world, *world.succeeded)
    for name, part in (("contact", "contact"), ("now", "newest")):
        section = html.split(f'<section id="{name}">')[1].split("</section>")[0]
        assert f'data-figure="{name}-chart-data"' in section
        rows = section.split("<tbody>")[1].split("</tr>")
        shown = [r for r in found.rows if any(c.estimate.value is not None for c in getattr(r, part))]
        assert len(rows) - 1 == len(shown) == {"contact": 13, "now": 17}[name]
        for row, text in zip(shown, rows, strict=False):
            for cell in getattr(row, part):
                assert f"{cell.estimate.value:.3f}" in text
                if cell.difference:
                    assert f"{cell.difference.value:+.3f}".replace("-", "−") in text
                    assert signed_interval(cell.difference) in text
            told = [c.difference.outcome for c in getattr(row, part) if c.difference]
            assert text.count("▲") == told.count("win")
            assert text.count("▼") == told.count("loss")


def test_the_headline_and_the_tallies(world: World, client: Client) -> None:
    html = read(client, PAGE + query(*world.succeeded[:2]))
    (_, second) = compared(world, *world.succeeded[:2]).detectors
    row = html.split("<tbody>")[1].split("</tr>")[1]
    assert signed_interval(second.headline) in row
    assert str(p_value(second.headline.p_value)).replace("<", "&lt;") in row
    counts = re.findall(r">(\d+)</td>", row)[-6:]
    tallies = (second.contact, second.newest)
    assert list(map(int, counts)) == [n for t in tallies for n in (t.wins, t.ties, t.losses)]


def test_with_fewer_than_two_there_is_a_choice(world: World, client: Client) -> None:
    html = read(client, PAGE)
    assert "Choose two detectors or more" in html
    assert f'href="?d={world.succeeded[1].pk}"' in html
    assert "data-figure" not in html
    one = read(client, PAGE + query(world.succeeded[0]))
    assert f'href="?d={world.succeeded[0].pk}&amp;d={world.succeeded[1].pk}"' in one
    assert "plotly" not in one
    found = read(client, PAGE + query(world.succeeded[0]) + "&q=CIFAKE")
    assert re.findall(r'<span class="hidden">Add </span>([^<]+)<', found) == ["cifake-cnn"]
    assert "No detector that you may see has such a name." in read(client, PAGE + "?q=unpublished")


def test_detectors_can_be_left_out_and_put_first(world: World, client: Client) -> None:
    a, b, c = world.succeeded
    html = read(client, PAGE + query(a, b, c))
    assert f'href="{query(c, a, b).replace("&", "&amp;")}">as the first' in html
    assert f'href="{query(a, c).replace("&", "&amp;")}">leave out' in html
    first = read(client, PAGE + query(c, a, b))
    assert f"Differences are from <b>{c.name}</b>" in first


def test_more_than_six_are_said_to_be_left_out(world: World, client: Client) -> None:
    others = [SubmissionFactory(benchmark=world.benchmark) for _ in range(5)]
    html = read(client, PAGE + query(*world.succeeded, *others))
    assert "the last 2 are left out" in html
    assert others[2].name in html
    assert others[3].name not in html
    assert "Leave one out to add another." in html


def test_what_is_no_id_or_comes_twice_is_as_if_it_were_not_there(world: World, client: Client) -> None:
    a, b, _ = world.succeeded
    plain = read(client, PAGE + query(a, b))
    assert read(client, PAGE + query(a, b, a) + "&d=%00x").split("<main")[1] == plain.split("<main")[1]


def test_what_may_not_be_seen_is_not_found(world: World, client: Client) -> None:
    asked = query(world.succeeded[0], world.private)
    read(client, PAGE + asked, 404)
    read(client, API + asked, 404)
    read(client, f"{PAGE}?d={uuid4()}&d={world.succeeded[0].pk}", 404)
    read(client, "/b/nothing/compare/", 404)
    client.force_login(world.submitter)
    html = read(client, PAGE + asked)
    assert "private, not ranked" in html
    assert client.get(API + asked).json()["detectors"][1]["entry"]["rank"] is None


def test_a_detector_without_a_result_is_named_so(world: World, client: Client) -> None:
    html = read(client, PAGE + query(world.succeeded[0], world.queued))
    assert "no result yet" in html


def test_every_caption_and_the_heading_mark_a_simulated_corpus(world: World, client: Client) -> None:
    html = read(client, PAGE + query(*world.succeeded))
    assert "Simulated corpus" in re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)[1]
    captions = re.findall(r"<caption.*?</caption>", html, re.DOTALL)
    assert len(captions) == 3
    assert all("Simulated corpus" in caption for caption in captions)


def test_hostile_names_stay_text(world: World, client: Client) -> None:
    evil = "<script>alert(1)</script>"
    Submission.objects.filter(pk=world.succeeded[1].pk).update(name=evil)
    assert "<script>alert" not in read(client, PAGE + query(*world.succeeded))
    assert "<script>alert" not in read(client, PAGE + "?q=<script>alert(1)</script>")


class TestJson:
    def test_it_is_that_of_the_page(self, world: World, client: Client) -> None:
        found = compared(world, *world.succeeded)
        data = client.get(API + query(*world.succeeded)).json()
        assert data["simulated"] is True
        assert [d["name"] for d in data["detectors"]] == [d.submission.name for d in found.detectors]
        assert data["detectors"][0]["headline"] is None
        headline = found.detectors[2].headline
        assert data["detectors"][2]["headline"] == {
            "value": headline.value,
            "low": headline.low,
            "high": headline.high,
            "p_value": headline.p_value,
            "differs": headline.differs,
        }
        assert data["detectors"][1]["contact"] == {
            "wins": found.detectors[1].contact.wins,
            "ties": found.detectors[1].contact.ties,
            "losses": found.detectors[1].contact.losses,
        }
        for row, answer in zip(found.rows, data["generators"], strict=True):
            assert answer["generator"]["slug"] == row.generator.slug
            assert [c["difference"] and c["difference"]["low"] for c in answer["newest"]] == [
                c.difference and c.difference.low for c in row.newest
            ]
        assert data["generators"][0]["contact"][1] == {
            "estimate": {"value": None, "low": None, "high": None},
            "difference": None,
        }

    @pytest.mark.parametrize("ids", ["", "?d=x&d=y", "one", "seven", "twice"])
    def test_two_to_six_different_ids_are_asked_for(self, world: World, client: Client, ids: str) -> None:
        one = f"?d={world.succeeded[0].pk}"
        seven = "?" + "&".join(f"d={uuid4()}" for _ in range(7))
        asked = {"one": one, "seven": seven, "twice": f"{one}&{one[1:]}"}.get(ids, ids)
        response = client.get(API + asked)
        assert response.status_code == 400
        assert response.json()["errors"][0]["attr"] == "d"

    def test_it_is_read_only(self, world: World, client: Client) -> None:
        client.force_login(world.maintainer)
        assert client.post(API).status_code == 405


def test_p_values_are_written_with_four_decimals_or_as_small() -> None:
    assert p_value(0.03125) == "0.0312"
    assert p_value(0.00009) == "< 0.0001"
    assert "–" in p_value(None)
