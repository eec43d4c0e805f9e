"""The page of one detector: its seeds, curves, metrics, lineage, citation, and how it stood before."""

from __future__ import annotations

import html as markup
import re

import pytest
from django.conf import settings
from django.test import Client

from leaderboard.models import RunScore, Submission
from leaderboard.pages.detectors import METRICS
from leaderboard.selectors.detectors import Detector, detector
from leaderboard.selectors.snapshots import shown_board
from leaderboard.services.boards import boards_refresh
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(world: World) -> Detector:
    found = detector(world.succeeded[0].pk, None)
    assert found is not None
    return found


def read(client: Client, submission: Submission, query: str = "", status: int = 200) -> str:
    response = client.get(f"/detectors/{submission.pk}/{query}")
    assert response.status_code == status
    return response.content.decode()


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_the_head_has_both_intervals(world: World, client: Client, report: Detector) -> None:
    head = read(client, world.succeeded[0]).split('<dl class="figures">')[1].split("</dl>")[0]
    average = report.entry.next
    assert f"{average.estimate.low:.3f}–{average.estimate.high:.3f} <span" in head
    assert f"{average.generators.low:.3f}–{average.generators.high:.3f} <span" in head
    assert f"Next from {report.entry.spread[0]:.3f} to {report.entry.spread[1]:.3f}" in head
    assert "single run: the spread between seeds is not known" in read(client, world.succeeded[1])


def test_every_seed_has_a_row_and_a_link_to_its_details(
    world: World, client: Client, report: Detector
) -> None:
    html = read(client, world.succeeded[0])
    seeds = section(html, "seeds")
    for run in report.runs:
        assert f"{run.next.estimate.value:.3f}" in seeds
    assert 'href="?seed=1#seeds"' in seeds
    other = read(client, world.succeeded[0], "?seed=1")
    assert 'href="?seed=0#seeds"' in section(other, "seeds")
    assert section(other, "curves") != section(html, "curves")
    # What is chosen stays chosen in the other links.
    assert 'href="?seed=1&amp;period=past#curves"' in other
    assert '<section id="seeds"' not in read(client, world.succeeded[1])


def test_the_curves_can_be_chosen_without_script(world: World, client: Client) -> None:
    html = read(client, world.succeeded[0])
    curves = section(html, "curves")
    assert re.findall(r'<a href="([^"]*)" aria-current="true">', curves) == ["?#curves", "?window=2#curves"]
    assert 'href="?window=0#curves"' in curves
    past = section(read(client, world.succeeded[0], "?period=past&window=1"), "curves")
    assert "The checkpoint after window 1 on Past: 480 fakes and 480 reals." in past
    assert "chosen on past windows</th>" not in past
    assert "chosen on past windows</th>" in curves


def test_the_tables_hold_the_numbers_of_the_curves(world: World, client: Client, report: Detector) -> None:
    curves = section(read(client, world.succeeded[0]), "curves")
    for point in report.curves.points:
        cells = [f"{n:.3f}" for n in (point.threshold, point.fpr, point.tpr)]
        assert '</td><td class="number">'.join(cells) in curves
    n_rows = curves.count("<tr>")
    assert n_rows == 4 + len(report.curves.points) + len(report.curves.roc) + 25 + 15
    for name in ("roc", "histogram", "reliability"):
        assert f'data-figure="{name}-data"' in curves


def test_all_metrics_are_listed_for_every_period_and_averaged(
    world: World, client: Client, report: Detector
) -> None:
    table = section(read(client, world.succeeded[0]), "metrics")
    groups = table.split('<tr class="band">')[1:]
    assert [re.search(r">(\w+)</th>", group)[1] for group in groups] == ["Next", "Past", "Whole"]
    assert [group.count("<tr>") + group.count('<tr class="total">') for group in groups] == [5, 5, 5]
    means = RunScore.objects.get(run=report.run.run_id, period="next").means
    total = re.findall(r">([\d.–]+)<", groups[0].split('<tr class="total">')[1])
    assert total[1:] == [f"{means[name]:.3f}" for name in METRICS]
    assert len(METRICS) == 11
    # A threshold is chosen on past windows for Next alone; elsewhere it is missing and not 0.
    assert groups[1].count('title="no value"') == 5


def test_lineage_names_hashes_short_and_whole(world: World, client: Client, report: Detector) -> None:
    made = section(read(client, world.succeeded[0]), "lineage")
    assert world.succeeded[0].image_id in made
    for window in world.edition.windows.all():
        assert f'title="{window.manifest}">{window.manifest[:16]}</code>' in made
    for cost in report.costs:
        assert f'title="{cost.key}">{cost.key[:12]}</code>' in made
    assert world.edition.manifest_hash in made


def test_files_are_offered_of_the_run_that_stands_on_the_board(world: World, client: Client) -> None:
    address = f"/detectors/{world.succeeded[0].pk}/matrix.csv"
    assert f'href="{address}"' in read(client, world.succeeded[0])
    assert client.get(address).status_code == 200
    assert f'href="{address}"' not in read(client, world.succeeded[0], "?seed=1")
    assert "matrix.csv" not in read(client, world.running)


class TestCitation:
    def test_it_names_the_board_for_good(self, world: World, client: Client) -> None:
        shown = shown_board(world.benchmark)
        cite = markup.unescape(section(read(client, world.succeeded[0]), "cite"))
        address = f"{settings.SITE_URL.rstrip('/')}/b/families-v1/?asof={shown.citation}"
        text, bibtex = re.findall(r"<pre[^>]*>(.*?)</pre>", cite, re.DOTALL)
        assert address in text
        assert address in bibtex
        assert bibtex.startswith("@misc{tidemark-families-v1-npr-")
        assert "simulated corpus" in text
        assert f"edition {shown.edition}, board {shown.citation} of {shown.at:%Y-%m-%d}" in text
        assert "rank 1 of 3" in text
        assert client.get(f"/{address.split('/', 3)[3]}").status_code == 200

    def test_what_is_on_no_board_can_not_be_cited(self, world: World, client: Client) -> None:
        assert '<section id="cite"' not in read(client, world.running)
        client.force_login(world.submitter)
        assert '<section id="cite"' not in read(client, world.private)


class TestThen:
    def test_the_standing_is_that_of_the_board_that_is_asked_for(self, world: World, client: Client) -> None:
        submission, before = world.succeeded[2], shown_board(world.benchmark)
        then = detector(submission.pk, None).entry.next.estimate.value
        RunScore.objects.filter(run__submission=submission, period="next").update(
            value=0.9912, low=0.98, high=0.995
        )
        boards_refresh(every=True)
        now, old = read(client, submission), read(client, submission, f"?asof={before.citation}")
        heads = [html.split('<dl class="figures">')[1].split("</dl>")[0] for html in (now, old)]
        assert "0.991" in heads[0]
        assert "0.991" not in heads[1]
        assert f"{then:.3f}" in heads[1]
        assert "this is how it stood then" in old
        assert before.citation in section(old, "cite")
        assert f'href="?window=0&amp;asof={before.citation}#curves"' in old

    def test_no_such_board_is_not_found(self, world: World, client: Client) -> None:
        read(client, world.succeeded[0], "?asof=ffffffffffff", 404)
        read(client, world.succeeded[0], "?asof=1999-01-01", 404)


def test_a_null_row_says_that_it_is_one(world: World, client: Client) -> None:
    Submission.objects.filter(pk=world.succeeded[2].pk).update(null_row="constant")
    boards_refresh(every=True)
    html = read(client, world.succeeded[2])
    assert "null row, never ranked" in html.split("<h1>")[1].split("</h1>")[0]
    assert "null row, never ranked" in html.split('<dl class="figures">')[1].split("</dl>")[0]


@pytest.mark.parametrize("query", ["?window=99999999999&seed=x&period=all", "?asof=%00", "?seed=²&window=-1"])
def test_an_odd_address_is_the_plain_page(world: World, client: Client, query: str) -> None:
    assert section(read(client, world.succeeded[0], query), "metrics") == section(
        read(client, world.succeeded[0]), "metrics"
    )
