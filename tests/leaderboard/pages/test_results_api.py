"""The JSON of the same numbers; it lies beside the pages because it must agree with them."""

from __future__ import annotations

import pytest
from django.test import Client

from leaderboard.selectors.boards import leaderboard
from leaderboard.selectors.contacts import first_contact
from leaderboard.selectors.detectors import detector
from tests.leaderboard.factories import BenchmarkFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


def test_the_leaderboard(world: World, client: Client) -> None:
    data = client.get("/api/v1/benchmarks/families-v1/leaderboard/").json()
    board = leaderboard(world.benchmark, None)
    assert data["simulated"] is True
    assert [row["entry"]["name"] for row in data["rows"]] == [row.entry.name for row in board.rows]
    first, last = data["rows"][0], data["rows"][-1]
    assert first["entry"]["next"]["value"] == board.rows[0].entry.next.estimate.value
    assert (first["entry"]["rank"], first["entry"]["rank_worst"]) == (1, board.rows[0].entry.rank_worst)
    assert first["windows"][0]["low"] == board.rows[0].windows[0].low
    assert set(last["entry"]["next"].values()) == {None}
    assert first["entry"]["next"]["generators_low"] < first["entry"]["next"]["low"]
    assert first["entry"]["spread"] == list(board.rows[0].entry.spread or ())
    assert last["windows"][3]["value"] is None
    assert {row["run_state"] for row in data["live"]} == {"running", "queued"}
    assert (data["page"], data["n_pages"], data["n_rows"], data["own"]) == (1, 1, 4, [])
    assert data["shown"]["is_present"] is True
    assert [w["is_open"] for w in data["timeline"]["windows"]] == [False] * 4 + [True]


def test_what_a_view_asks_for_is_answered(world: World, client: Client) -> None:
    address = "/api/v1/benchmarks/families-v1/leaderboard/"
    data = client.get(address, {"family": "diffusion", "q": "noor", "sort": "name"}).json()
    assert [(row["entry"]["name"], row["focus"]["n"]) for row in data["rows"]] == [
        ("ensemble-of-everything", 0),
        ("npr", 2),
    ]
    client.force_login(world.submitter)
    own = client.get(address).json()["own"]
    assert [(row["entry"]["name"], row["entry"]["rank"]) for row in own] == [("unpublished-idea", None)]


@pytest.mark.parametrize("kind", ["leaderboard", "first-contact"])
def test_a_board_is_answered_as_of_its_digest_and_an_unknown_one_not(
    world: World, client: Client, kind: str
) -> None:
    address = f"/api/v1/benchmarks/families-v1/{kind}/"
    present = client.get(address).json()
    cited = client.get(address, {"asof": present["shown"]["digest"][:16]}).json()
    assert cited["rows"] == present["rows"]
    assert cited.get("live", []) == []
    for asof in ("2020-01-01", "edition-9", "f" * 16, "soon"):
        assert client.get(address, {"asof": asof}).status_code == 404


def test_first_contact(world: World, client: Client) -> None:
    data = client.get("/api/v1/benchmarks/families-v1/first-contact/").json()
    contact = first_contact(world.benchmark)
    assert [g["slug"] for g in data["generators"]] == [g.slug for g in contact.generators]
    assert [[c["value"] for c in row["cells"]] for row in data["rows"]] == [
        [c.value for c in row.cells] for row in contact.rows
    ]
    assert [g["window"] for g in data["without"]] == [0, 0, 0, 0]


def test_a_detector(world: World, client: Client) -> None:
    data = client.get(f"/api/v1/detectors/{world.succeeded[0].pk}/").json()
    report = detector(world.succeeded[0].pk, None)
    assert [[c["value"] for c in row] for row in data["matrix"]] == [
        [c.value for c in r] for r in report.matrix
    ]
    assert data["transfer"]["forgetting"] == report.transfer.forgetting
    assert data["generators"][5]["before"]["tnr"] == report.generators[5].before.tnr
    assert data["generators"][0]["before"]["auroc"] == {"value": None, "low": None, "high": None}
    assert data["periods"][1]["past"]["auroc"]["high"] == report.periods[1].past.auroc.high
    assert data["entry"]["whole"]["paper_value"] == report.entry.whole.paper_value
    assert data["cost_s"] == report.cost_s
    assert data["image_id"].startswith("sha256:")


def test_what_may_not_be_seen_is_not_found(world: World, client: Client) -> None:
    assert client.get(f"/api/v1/detectors/{world.private.pk}/").status_code == 404
    client.force_login(world.submitter)
    assert client.get(f"/api/v1/detectors/{world.private.pk}/").json()["entry"]["rank"] is None
    assert client.get("/api/v1/benchmarks/nothing/leaderboard/").status_code == 404


def test_before_the_first_edition_there_is_no_timeline(client: Client) -> None:
    benchmark = BenchmarkFactory()
    data = client.get(f"/api/v1/benchmarks/{benchmark.slug}/leaderboard/").json()
    assert (data["timeline"], data["rows"], data["live"]) == (None, [], [])


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(world: World, method: str) -> None:
    client = Client()
    client.force_login(world.maintainer)
    for address in ("benchmarks/families-v1/leaderboard/", f"detectors/{world.succeeded[0].pk}/"):
        assert getattr(client, method)(f"/api/v1/{address}").status_code == 405


def test_openapi_documents_every_number(client: Client) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    paths = schema["paths"]
    for path in (
        "benchmarks/{slug}/leaderboard/",
        "benchmarks/{slug}/first-contact/",
        "detectors/{submission_id}/",
    ):
        answer = paths[f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in answer
    assert {"matrix", "periods", "generators", "transfer", "costs"} <= set(
        schema["components"]["schemas"]["DetectorOutput"]["properties"]
    )
