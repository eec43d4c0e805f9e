"""Badges, frames, citations and pictures, as others show them."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from PIL import Image
from pybtex.database import BibliographyData, parse_string

from leaderboard.export.bibtex import detector_entry, escaped
from leaderboard.export.cards import board_card, generator_card
from leaderboard.export.picture import SIZE, png
from leaderboard.models import Action, Benchmark, Generator, Submission, Team
from leaderboard.selectors.snapshots import shown_board
from leaderboard.selectors.standing import standing, top
from leaderboard.services.boards import boards_refresh
from leaderboard.templatetags.export import sharing
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = {
    "quotes": '"it\'s" & <script>alert(1)</script>',
    "tags": "]]></text></svg><img src=x onerror=alert(1)>",
    "turning": "\u202egnp.\u2066 evil \u200f",
    "hebrew": "גלאי מסחרי",
    "chinese": "生成图像检测器",
    "lines": "one\r\ntwo\tthree\x85four\u2028five",
    "formula": '=HYPERLINK("http://evil","x")',
    "at": "  @SUM(1+1)",
    "latex": r"\input{/etc/passwd} 100% $x_1^2$ #~ }{ {",
    "long": "wordwithoutend" * 8,
    "emoji": "detector 🕵🏽‍♀️ \U0001f1e9\U0001f1ea",
    "controls": "bell\x07 escape\x1b[31m delete\x7f",
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest, world: World) -> World:
    """Everything that somebody may name has the same hostile name."""
    name = request.param
    Submission.objects.filter(pk=world.succeeded[0].pk).update(name=name, description=name)
    Team.objects.filter(pk=world.succeeded[0].team_id).update(name=name[:60])
    Benchmark.objects.filter(pk=world.benchmark.pk).update(name=name, description=name)
    Generator.objects.filter(slug="latent-8").update(name=name, family=name[:60])
    boards_refresh(every=True)
    world.succeeded[0].refresh_from_db()
    return world


def addresses(world: World, which: Submission | None = None) -> dict[str, str]:
    detector, slug = (which or world.succeeded[0]).pk, world.benchmark.slug
    return {
        "badge": f"/detectors/{detector}/badge.svg",
        "embed": f"/detectors/{detector}/embed/",
        "citation": f"/detectors/{detector}/cite.bib",
        "picture": f"/detectors/{detector}/picture.png",
        "board-embed": f"/b/{slug}/embed/",
        "board-citation": f"/b/{slug}/cite.bib",
        "board-picture": f"/b/{slug}/picture.png",
        "generator-picture": f"/c/{world.corpus.slug}/generators/latent-8/picture.png",
        "site-picture": "/picture.png",
    }


def read(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, address
    return response.content.decode()


class Elements(HTMLParser):
    """The names of all elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def bibliography(text: str) -> BibliographyData:
    """As pybtex reads it, which raises where an entry is no valid BibTeX."""
    return parse_string(text, "bibtex")


def bars(svg: str) -> list[str]:
    return [text for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def test_a_badge_says_what_the_board_says(world: World, client: Client) -> None:
    svg = ElementTree.fromstring(read(client, addresses(world)["badge"]))
    assert svg.tag == f"{SVG}svg"
    found = standing(world.succeeded[0].pk, None)
    assert found is not None
    assert found.row is not None
    entry = found.row.entry
    places = f"{entry.rank_best}–{entry.rank_worst}" if entry.rank_best != entry.rank_worst else entry.rank
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert texts == ["Tidemark", f"next {entry.next.estimate.value:.3f} · rank {places} of 3", "simulated"]
    assert svg.attrib["aria-label"] == f"Tidemark: {texts[1]}, simulated"


def test_a_badge_of_what_has_no_result_says_so(world: World, client: Client) -> None:
    assert "no result yet" in read(client, addresses(world, world.queued)["badge"])


def test_a_private_entry_has_a_badge_without_a_rank_for_its_team_alone(world: World, client: Client) -> None:
    of_private = addresses(world, world.private)
    for name in ("badge", "embed", "citation", "picture"):
        assert client.get(of_private[name]).status_code == 404
    client.force_login(world.submitter)
    assert "· not ranked" in read(client, of_private["badge"])
    for name in ("badge", "embed", "citation", "picture"):
        response = client.get(of_private[name])
        assert response.status_code == 200
        assert "private" in response.headers["Cache-Control"], "no cache keeps it for others"
    assert "asof" not in read(client, of_private["citation"]), "it stands on no board"


def test_pictures_may_be_kept_a_while_and_are_found_unchanged(world: World, client: Client) -> None:
    for name in ("badge", "picture", "board-picture", "generator-picture", "site-picture"):
        response = client.get(addresses(world)[name])
        assert response.headers["Cache-Control"] == "public, max-age=300", name
        again = client.get(addresses(world)[name], headers={"if-none-match": response.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b""), name


def test_nothing_but_frames_may_be_framed(world: World, client: Client) -> None:
    for name, address in {**addresses(world), "page": f"/detectors/{world.succeeded[0].pk}/"}.items():
        response = client.get(address)
        is_frame = name in ("embed", "board-embed")
        assert ("X-Frame-Options" not in response.headers) == is_frame, name
        if is_frame:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors *" in policy


def test_a_frame_has_a_chart_a_table_and_the_way_back(world: World, client: Client) -> None:
    shown = shown_board(world.benchmark)
    assert shown is not None
    for name, link in (
        ("embed", f"http://127.0.0.1:8000/detectors/{world.succeeded[0].pk}/"),
        ("board-embed", f"http://127.0.0.1:8000/b/{world.benchmark.slug}/"),
    ):
        html = read(client, addresses(world)[name])
        assert "<script" not in html
        assert html.count(f'href="{link}"') == 2
        assert f"Edition {shown.edition}" in html
        assert f"{shown.at:%Y-%m-%d}" in html
        assert "Simulated corpus" in html
        (svg,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
        drawn = bars(svg)
        cells = re.findall(r"<td>(0\.\d{3})</td>", html)
        assert cells
        assert set(cells) <= set(drawn) | {text.split()[0] for text in drawn}, "chart and table agree"


def test_a_citation_is_valid_and_names_the_board_for_good(world: World, client: Client) -> None:
    shown = shown_board(world.benchmark)
    assert shown is not None
    permalink = f"http://127.0.0.1:8000/b/{world.benchmark.slug}/?asof={shown.citation}"
    (entry,) = bibliography(read(client, addresses(world)["citation"])).entries.values()
    assert entry.type == "misc"
    assert entry.fields["title"] == "{npr} on {Generator families} (simulated corpus)"
    assert [str(person) for person in entry.persons["author"]] == ["{noor}"]
    assert entry.fields["url"] == f"http://127.0.0.1:8000/detectors/{world.succeeded[0].pk}/"
    assert f"\\url{{{permalink}}}" in entry.fields["note"]
    assert world.succeeded[0].image_id in entry.fields["note"]
    assert re.search(r"rank [\d-]+ of 3", entry.fields["note"])
    assert client.get(permalink.removeprefix("http://127.0.0.1:8000")).status_code == 200
    (board,) = bibliography(read(client, addresses(world)["board-citation"])).entries.values()
    assert board.fields["url"] == permalink


def test_a_citation_of_a_past_board_says_what_was(world: World, client: Client) -> None:
    before = shown_board(world.benchmark)
    assert before is not None
    Submission.objects.filter(pk=world.succeeded[1].pk).update(name="renamed")
    boards_refresh(every=True)
    text = read(client, addresses(world)["citation"], asof=before.citation)
    assert before.citation in text
    assert before.citation not in read(client, addresses(world)["citation"])
    assert client.get(addresses(world)["citation"], {"asof": "1999-01-01"}).status_code == 404


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Größe_1", r"Gr{\"o}{\ss}e\_1"),
        ("100 % {a} & $b$ #c", r"100 \% {\textbraceleft}a{\textbraceright} \& \$b\$ \#c"),
        (r"\{~^", r"{\textbackslash}{\textbraceleft}{\textasciitilde}{\textasciicircum}"),
        ("Škoda Łódź ×2", r"{\v S}koda {\L}{\'o}d{\'z} {\texttimes}2"),
        ("検出器", "検出器"),
    ],
)
def test_what_means_something_to_tex_is_escaped(text: str, written: str) -> None:
    assert escaped(text) == written


def test_a_hostile_name_breaks_no_format(hostile: World, client: Client) -> None:
    name = hostile.succeeded[0].name
    for what, address in addresses(hostile).items():
        response = client.get(address)
        assert response.status_code == 200, what
        if what.endswith("picture"):
            image = Image.open(io.BytesIO(response.content))
            image.load()
            assert (image.format, image.size) == ("PNG", SIZE)
        elif what == "badge":
            ElementTree.fromstring(response.content.decode())
        elif what.endswith("citation"):
            (entry,) = bibliography(response.content.decode()).entries.values()
            assert set(entry.fields) >= {"title", "year", "url", "note"}
            for value in entry.fields.values():
                assert value.count("{") == value.count("}")
                assert not re.search(r"(?<!\\)[%&$#]", value)
        else:
            html = response.content.decode()
            found = Elements()
            found.feed(html)
            assert not found.names & {"script", "img"}
            assert not any(name.startswith("on") for name in found.attributes)
            for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
                ElementTree.fromstring(svg)
    for address in (f"/b/{hostile.benchmark.slug}/", f"/detectors/{hostile.succeeded[0].pk}/"):
        head = read(client, address).split("</head>")[0]
        assert "\u202e" not in head.split("og:title")[1]
        assert head.count('property="og:') == 10, "no name ends an attribute"
    assert name


def test_a_hostile_name_in_files_stays_what_it_is_but_for_formulas_in_csv(
    hostile: World, client: Client
) -> None:
    import csv as standard
    import json

    import pandas as pd

    name = hostile.succeeded[0].name
    address = f"/b/{hostile.benchmark.slug}/leaderboard"
    of_json = json.loads(client.get(f"{address}.json").getvalue())["rows"]
    parquet = pd.read_parquet(io.BytesIO(client.get(f"{address}.parquet").getvalue()))
    text = client.get(f"{address}.csv").getvalue().decode()
    rows = list(standard.DictReader(io.StringIO(text, newline="")))
    place = [row["detector"] for row in rows].index(str(hostile.succeeded[0].pk))
    assert of_json[place]["name"] == parquet["name"][place] == name
    begins = name.lstrip()[:1] in "=+-@" or name[:1] in "\t\r\n"
    assert rows[place]["name"] == (f"'{name}" if begins else name)
    for row in rows:
        for cell in (row["name"], row["team"]):
            assert not re.match(r"\s*[=+@-]|[\t\r\n]", cell)
        assert row["next"] == "" or float(row["next"]) >= 0


def test_links_to_pages_have_a_picture_elsewhere(world: World, client: Client) -> None:
    pages = {
        "/": "/picture.png",
        f"/b/{world.benchmark.slug}/": f"/b/{world.benchmark.slug}/picture.png",
        f"/detectors/{world.succeeded[0].pk}/": addresses(world)["picture"],
        f"/c/{world.corpus.slug}/generators/latent-8/": addresses(world)["generator-picture"],
    }
    for page, picture in pages.items():
        head = read(client, page).split("</head>")[0]
        tags = dict(re.findall(r'<meta property="(og:[a-z:_]+)" content="([^"]*)">', head))
        assert tags["og:url"] == f"http://127.0.0.1:8000{page}"
        assert tags["og:image"] == f"http://127.0.0.1:8000{picture}"
        assert tags["og:title"]
        assert tags["og:description"]
        if page != "/":
            assert "simulated corpus" in tags["og:title"]
        image = Image.open(io.BytesIO(client.get(picture).content))
        assert (tags["og:image:width"], tags["og:image:height"]) == tuple(map(str, image.size))


def test_a_picture_shows_what_changes(world: World) -> None:
    found = top(world.benchmark)
    another = replace(found, rows=found.rows[1:])
    assert png(board_card(found)) != png(board_card(another))
    generator = Generator.objects.get(slug="latent-8")
    assert png(generator_card(generator, None)) == png(generator_card(generator, None))


def test_pages_link_to_their_files(world: World, client: Client) -> None:
    slug, detector = world.benchmark.slug, world.succeeded[0].pk
    linked = {
        f"/b/{slug}/": [f"/b/{slug}/leaderboard.csv"],
        f"/b/{slug}/?sort=cost": [f"/b/{slug}/leaderboard.parquet?sort=cost"],
        f"/b/{slug}/first-contact/": [f"/b/{slug}/first-contact.json"],
        f"/detectors/{detector}/": [f"/detectors/{detector}/{t}.csv" for t in ("matrix", "periods")],
        f"/c/{world.corpus.slug}/generators/latent-8/": [f"/b/{slug}/generators/latent-8.csv"],
    }
    for page, files in linked.items():
        html = read(client, page)
        for file in files:
            assert f'href="{file}" download>' in html, page
            assert client.get(file).status_code == 200
    assert "/scores.csv" not in read(client, f"/detectors/{detector}/")
    Benchmark.objects.update(shares_scores=True)
    assert f"/detectors/{detector}/scores.csv" in read(client, f"/detectors/{detector}/")


def test_what_is_to_be_copied_is_whole(world: World, client: Client) -> None:
    detector = world.succeeded[0].pk
    html = read(client, f"/detectors/{detector}/")
    page = f"http://127.0.0.1:8000/detectors/{detector}/"
    assert f"[![npr on Tidemark]({page}badge.svg)]({page})" in html
    assert f"&lt;iframe src=&quot;{page}embed/&quot;" in html or f'&lt;iframe src="{page}embed/"' in html


def test_no_name_leaves_the_frame_that_is_to_be_copied() -> None:
    html = render_to_string("parts/sharing.html", sharing("board", "a", 'a" onload="alert(1)'))
    (code,) = re.findall(r"<code>(.*?)</code>", html, re.DOTALL)
    assert "&amp;quot; onload=&amp;quot;" in code, "escaped once for this page and once for the other"


@pytest.mark.parametrize("what", ["badge", "embed", "citation", "picture", "board-embed", "board-picture"])
def test_queries_are_few(world: World, client: Client, django_assert_max_num_queries: Any, what: str) -> None:
    with django_assert_max_num_queries(5):
        read_bytes = client.get(addresses(world)[what])
    assert read_bytes.status_code == 200


def test_a_maintainer_opens_and_closes_the_scores_of_images(world: World) -> None:
    call_command("share_scores", "families-v1", "yes", reason="edition 9 has new images")
    world.benchmark.refresh_from_db()
    assert world.benchmark.shares_scores
    call_command("share_scores", "families-v1", "yes", reason="again")
    call_command("share_scores", "families-v1", "no", reason="a mistake")
    world.benchmark.refresh_from_db()
    assert not world.benchmark.shares_scores
    told = list(Action.objects.filter(subject="families-v1").values_list("verb", "reason").order_by("pk"))
    assert told[-2:] == [
        ("scores of images shared", "edition 9 has new images"),
        ("scores of images kept", "a mistake"),
    ]
    with pytest.raises(CommandError, match="Say why"):
        call_command("share_scores", "families-v1", "yes", reason=" ")
    with pytest.raises(CommandError, match="no benchmark"):
        call_command("share_scores", "nowhere", "yes", reason="x")


def test_a_detector_without_a_board_can_be_cited(world: World) -> None:
    text = detector_entry(world.queued, None, None, 0, site="https://t", accessed=date(2026, 5, 1))
    (entry,) = bibliography(text).entries.values()
    assert (entry.fields["year"], entry.fields["urldate"]) == ("2026", "2026-05-01")
    assert reverse("detector", args=[world.queued.pk]) in entry.fields["url"]
