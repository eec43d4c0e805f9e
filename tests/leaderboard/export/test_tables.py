"""Every file of a table, opened by the tools that people open it with."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from leaderboard.board import MEANS
from leaderboard.models import Board, PeriodScore, Prediction, Submission, UnitScore
from leaderboard.pages import exports
from leaderboard.selectors.compare import comparison
from leaderboard.selectors.estimates import auroc
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.services.benchmarks import benchmark_share_scores
from leaderboard.services.boards import boards_refresh
from tests.leaderboard.world import N_IMAGES, N_WINDOWS, World

pytestmark = pytest.mark.django_db
MARKS = ["benchmark", "simulated", "edition", "board_at", "board"]


def tables(world: World) -> dict[str, str]:
    """Every table, by the address of its files without the suffix."""
    slug, detector = world.benchmark.slug, world.succeeded[0].pk
    return {
        "leaderboard": f"/b/{slug}/leaderboard",
        "first-contact": f"/b/{slug}/first-contact",
        "generator": f"/b/{slug}/generators/flow-2",
        "matrix": f"/detectors/{detector}/matrix",
        "periods": f"/detectors/{detector}/periods",
        "scores": f"/detectors/{detector}/scores",
    }


TABLES = ["leaderboard", "first-contact", "generator", "matrix", "periods", "scores"]


def fetch(client: Client, address: str, **query: str) -> HttpResponse:
    response = client.get(address, query)
    assert response.status_code == 200, address
    return response


def content(response: Any) -> bytes:
    return response.getvalue()


def frame(client: Client, address: str, **query: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(content(fetch(client, f"{address}.parquet", **query))))


def present(world: World) -> Shown:
    shown = shown_board(world.benchmark)
    assert shown is not None
    return shown


@pytest.fixture
def shared(world: World) -> World:
    benchmark_share_scores(world.benchmark, True, reason="retired")
    return world


@pytest.mark.parametrize("table", TABLES)
def test_pandas_and_duckdb_read_the_same_from_every_format(
    shared: World, client: Client, tmp_path: Any, table: str
) -> None:
    address = tables(shared)[table]
    shown = present(shared)
    found = {}
    for suffix in ("csv", "json", "parquet"):
        response = fetch(client, f"{address}.{suffix}")
        path = tmp_path / f"table.{suffix}"
        path.write_bytes(content(response))
        assert response.headers["Content-Disposition"].startswith(
            f'attachment; filename="families-v1_edition-1_{shown.at:%Y-%m-%d}_'
        )
        assert response.headers["Content-Disposition"].endswith(f'.{suffix}"')
        found[suffix] = path
    kept = pd.read_parquet(found["parquet"])
    csv = pd.read_csv(found["csv"], keep_default_na=False, na_values=[""])
    document = json.loads(found["json"].read_text())
    rows = pd.DataFrame(document["rows"], columns=[c for c in kept.columns if c not in MARKS])
    assert len(kept) > 0
    assert list(csv.columns) == list(kept.columns)
    assert list(kept.columns[-len(MARKS) :]) == MARKS
    assert len(csv) == len(kept) == len(rows)
    for name in rows.columns:
        if pd.api.types.is_numeric_dtype(kept[name]) and kept[name].dtype != bool:
            for other in (csv[name], rows[name]):
                np.testing.assert_array_equal(kept[name].astype(float), other.astype(float), name)
        else:
            texts = [[None if pd.isna(v) or v == "" else str(v) for v in f[name]] for f in (kept, rows)]
            assert [t is None for t in texts[0]] == [t is None for t in texts[1]], name
    for suffix in ("csv", "parquet"):
        query = f"select count(*) from '{found[suffix]}' where board = '{shown.digest}'"
        assert duckdb.sql(query).fetchall() == [(len(kept),)], suffix
    query = f"select unnest(rows) from read_json('{found['json']}', maximum_object_size=100000000)"
    assert len(duckdb.sql(query).fetchall()) == len(kept)


@pytest.mark.parametrize("table", TABLES)
def test_every_file_says_where_it_is_from(shared: World, client: Client, table: str) -> None:
    address, shown = tables(shared)[table], present(shared)
    kept = frame(client, address)
    said = kept[MARKS].drop_duplicates()
    assert said.values.tolist() == [["families-v1", True, 1, pd.Timestamp(shown.at), shown.digest]]
    document = json.loads(content(fetch(client, f"{address}.json")))
    at = shown.at.isoformat()
    assert {name: document[name] for name in MARKS} == dict(
        zip(MARKS, ["families-v1", True, 1, at, shown.digest], strict=True)
    )
    metadata = pq.read_schema(io.BytesIO(content(fetch(client, f"{address}.parquet")))).metadata
    assert {name: metadata[name.encode()].decode() for name in MARKS} == dict(
        zip(MARKS, ["families-v1", "true", "1", at, shown.digest], strict=True)
    )


def test_the_content_types_are_those_of_the_formats(world: World, client: Client) -> None:
    address = tables(world)["leaderboard"]
    types = {s: fetch(client, f"{address}.{s}").headers["Content-Type"] for s in ("csv", "json", "parquet")}
    assert types == {
        "csv": "text/csv; charset=utf-8",
        "json": "application/json",
        "parquet": "application/vnd.apache.parquet",
    }
    assert client.get(f"{address}.xlsx").status_code == 404


def test_the_leaderboard_is_whole_and_in_the_order_of_the_view(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.export.board_tables.PART_ROWS", 2)
    address, board = tables(world)["leaderboard"], present(world).snapshot
    kept = frame(client, address)
    assert list(kept["name"]) == list(board.texts("name"))
    np.testing.assert_array_equal(kept["next"], board.numbers("next"))
    np.testing.assert_array_equal(kept["w2_low"], board.matrix("windows_low")[:, 1])
    np.testing.assert_array_equal(kept["w4_rank"].astype(float), board.matrix("windows_rank")[:, 3])
    assert set(MEANS) < set(kept.columns)
    first = kept[kept["name"] == "npr"].iloc[0]
    assert first["seeds"] == "0 1"
    assert list(frame(client, address, sort="name")["name"]) == sorted(kept["name"], key=str.casefold)
    assert list(frame(client, address, q="npr")["name"]) == ["npr"]
    focused = frame(client, address, family="flow")
    assert focused["focus"].notna().any()
    assert list(focused["focus"].dropna()) == sorted(focused["focus"].dropna(), reverse=True)


def test_first_contacts_are_in_long_form(world: World, client: Client) -> None:
    board = present(world).snapshot
    kept = frame(client, tables(world)["first-contact"])
    generators = [g for g in board.timelines.contacts.generators if g.window]
    assert list(kept["generator"].unique()) == [g.slug for g in generators]
    assert len(kept) == len(board) * len(generators)
    for g in generators:
        rows = kept[kept["generator"] == g.slug]
        j = board.timelines.contacts.generators.index(g)
        np.testing.assert_array_equal(rows["value"], board.matrix("contacts")[:, j])
        assert set(rows["checkpoint"]) == {(g.window or 0) - 1}
        assert {str(day) for day in rows["release_date"]} == {g.release_date.isoformat()}
    flow = frame(client, tables(world)["first-contact"], family="flow")
    assert list(flow["generator"].unique()) == ["flow-2"]


def test_what_is_not_met_yet_is_missing_and_no_number(world: World, client: Client) -> None:
    """A failed run is listed with what it has."""
    kept = frame(client, tables(world)["leaderboard"])
    failed = kept[kept["name"] == "ensemble-of-everything"].iloc[0]
    assert pd.isna(failed["next"])
    assert pd.isna(failed["rank"])
    text = content(fetch(client, f"{tables(world)['leaderboard']}.csv")).decode()
    (line,) = [line for line in text.splitlines() if "ensemble-of-everything" in line]
    assert "nan" not in line.lower()
    assert ",,," in line


def test_the_matrix_has_every_checkpoint_and_generator(world: World, client: Client) -> None:
    kept = frame(client, tables(world)["matrix"])
    board = present(world).snapshot
    run = board.rows([board.position_of[world.succeeded[0].pk]])[0]["run"]
    assert len(kept) == N_WINDOWS * len(board.timeline.generators)
    for score in UnitScore.objects.filter(run=run, window=2).select_related("unit__generator"):
        cell = kept[(kept["checkpoint"] == 2) & (kept["generator"] == score.unit.generator.slug)].iloc[0]
        estimate = auroc(score)
        assert (cell["roc_auc"], cell["low"], cell["high"]) == (estimate.value, estimate.low, estimate.high)
        assert (cell["brier"], cell["tp"]) == (score.brier, score.tp)
        assert cell["trained_on"] == (cell["window"] <= 2)
    assert (kept[kept["trained_on"]]["lag_months"] <= 0).all()
    assert (kept[~kept["trained_on"]]["lag_months"] > 0).all()


def test_the_periods_have_every_metric(world: World, client: Client) -> None:
    kept = frame(client, tables(world)["periods"])
    scores = PeriodScore.objects.filter(run__submission=world.succeeded[0], run__seed=0)
    assert len(kept) == scores.count() > 0
    for score in scores:
        row = kept[(kept["checkpoint"] == score.window) & (kept["period"] == score.period)].iloc[0]
        for metric in ("roc_auc", "tpr_at_fpr_1", "equal_error_rate", "past_recall", "fn"):
            value = getattr(score, metric)
            assert pd.isna(row[metric]) if value is None else row[metric] == value, metric


def test_the_ranking_on_a_generator_is_by_first_contact(world: World, client: Client) -> None:
    kept = frame(client, tables(world)["generator"])
    values = kept["value"].dropna()
    assert list(values) == sorted(values, reverse=True)
    assert kept["rank"].dropna().iloc[0] == 1
    assert set(kept["generator"]) == {"flow-2"}
    assert not kept["now_seen"].dropna().any(), "it stands in the open window"
    earlier = frame(client, f"/b/{world.benchmark.slug}/generators/latent-8")
    assert earlier["now_seen"].dropna().all()
    board = present(world).snapshot
    j = [g.slug for g in board.timeline.generators].index("latent-8")
    place = {name: i for i, name in enumerate(board.texts("name"))}
    for row in earlier.itertuples():
        assert row.now == board.matrix("newest")[place[row.name], j]
    assert client.get(f"/b/{world.benchmark.slug}/generators/no-such.csv").status_code == 404


def test_a_board_of_the_past_is_exported_as_it_was(world: World, client: Client) -> None:
    before = present(world)
    address = tables(world)["leaderboard"]
    was = content(fetch(client, f"{address}.csv", asof=before.citation))
    Submission.objects.filter(pk=world.succeeded[1].pk).update(name="renamed")
    boards_refresh(every=True)
    assert Board.objects.count() == 2
    assert content(fetch(client, f"{address}.csv", asof=before.citation)) == was
    assert b"renamed" not in was
    assert b"renamed" in content(fetch(client, f"{address}.csv"))
    assert client.get(f"{address}.csv", {"asof": "1999-01-01"}).status_code == 404


def test_a_file_that_is_known_is_not_made_again(world: World, client: Client) -> None:
    address = f"{tables(world)['leaderboard']}.csv"
    etag = fetch(client, address).headers["ETag"]
    again = client.get(address, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert client.get(address, {"sort": "name"}, headers={"if-none-match": etag}).status_code == 200


def test_a_large_file_is_sent_as_it_is_made(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{tables(world)['first-contact']}.csv"
    whole = fetch(client, address)
    assert not whole.streaming
    monkeypatch.setattr(exports, "WHOLE_BYTES", 500)
    monkeypatch.setattr("leaderboard.export.board_tables.PART_ROWS", 1)
    pieces = client.get(address)
    assert pieces.streaming
    assert content(pieces) == whole.content
    packed = client.get(address, headers={"accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(content(packed)) < len(whole.content)
    assert content(client.head(address)) == b""


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_file_takes_few_queries_whatever_is_in_it(
    shared: World, client: Client, django_assert_max_num_queries: Any, table: str, suffix: str
) -> None:
    # One of them reads the board into memory, once in a process.
    with django_assert_max_num_queries(8):
        content(fetch(client, f"{tables(shared)[table]}.{suffix}"))


def test_scores_of_images_are_kept_unless_a_maintainer_shares_them(world: World, client: Client) -> None:
    response = client.get(f"{tables(world)['scores']}.csv")
    assert response.status_code == 403
    (error,) = response.json()["errors"]
    assert error["code"] == "scores_not_shared"
    assert "0013" in error["fix"]


def test_scores_of_images_tell_nothing_but_the_scores(shared: World, client: Client) -> None:
    kept = frame(client, tables(shared)["scores"])
    assert list(kept.columns) == ["checkpoint", "generator", "label", "score", *MARKS]
    n_units = len(present(shared).snapshot.timeline.generators)
    assert len(kept) == N_WINDOWS * n_units * 2 * N_IMAGES
    assert (kept["score"] == kept["score"].round(3)).all()
    key = shared.succeeded[0].runs.get(seed=0).steps.get(phase="predict", window=1).key
    unit = Prediction.objects.get(state_key=key, unit__generator__slug="latent-4")
    stored = np.frombuffer(bytes(unit.scores), "<f8")
    for label, of_label in ((1, stored[:N_IMAGES]), (0, stored[N_IMAGES:])):
        rows = kept.query(f"checkpoint == 1 and generator == 'latent-4' and label == {label}")
        assert list(rows["score"]) == sorted(np.round(of_label, 3)), "the order is made of the scores alone"


def test_scores_of_a_private_entry_are_never_shared(shared: World) -> None:
    client = Client()
    client.force_login(shared.submitter)
    assert client.get(f"/detectors/{shared.private.pk}/scores.csv").status_code == 403
    assert Client().get(f"/detectors/{shared.private.pk}/scores.csv").status_code == 404


def test_a_private_entry_is_exported_for_its_team_alone(world: World) -> None:
    client = Client()
    client.force_login(world.submitter)
    kept = frame(client, f"/detectors/{world.private.pk}/matrix")
    assert len(kept) > 0
    assert kept["board"].isna().all(), "it stands on no board"
    assert Client().get(f"/detectors/{world.private.pk}/matrix.csv").status_code == 404
    names = frame(client, tables(world)["leaderboard"])["name"]
    assert world.private.name not in set(names)


def test_there_is_no_file_of_what_does_not_exist(world: World, client: Client) -> None:
    for address in (f"/detectors/{uuid4()}/matrix.csv", "/b/no-such/leaderboard.csv"):
        assert client.get(address).status_code == 404
    assert client.get(f"/detectors/{world.queued.pk}/matrix.csv").status_code == 404
    assert reverse("leaderboard-file", args=["a", "csv"]) == "/b/a/leaderboard.csv"


def test_a_comparison_has_paired_differences_from_the_first(
    world: World, client: Client, django_assert_max_num_queries: Any
) -> None:
    first, second = world.succeeded[:2]
    address = f"/b/{world.benchmark.slug}/compare"
    query = {"d": [str(first.pk), str(second.pk)]}
    with django_assert_max_num_queries(29):
        document = json.loads(content(client.get(f"{address}.json", query)))
    found = comparison(world.benchmark, [first.pk, second.pk], None)
    assert found is not None
    assert len(document["rows"]) == 2 * 2 * len(found.rows)
    cells = {(r["checkpoint"], r["generator"], r["detector"]): r for r in document["rows"]}
    for row in found.rows:
        cell = cells["newest", row.generator.slug, str(second.pk)]
        difference = row.newest[1].difference
        assert difference is not None
        assert (cell["value"], cell["difference"]) == (row.newest[1].estimate.value, difference.value)
        assert (cell["p_value"], cell["differs"]) == (difference.p_value, difference.differs)
        assert cells["newest", row.generator.slug, str(first.pk)]["difference"] is None
    for wrong in ([], [str(first.pk)], [str(first.pk), str(world.private.pk)], ["x", str(first.pk)]):
        assert client.get(f"{address}.csv", {"d": wrong}).status_code == 404


def test_thresholds_are_told_in_thousandths_alone(world: World, client: Client) -> None:
    detector = world.succeeded[0].pk
    answer = client.get(f"/api/v1/detectors/{detector}/").json()
    told = [row["next"]["past_threshold"] for row in answer["periods"]]
    told += [
        row[period]["best_threshold"] for row in answer["periods"] for period in ("next", "past", "whole")
    ]
    for table in ("matrix", "periods"):
        rows = client.get(f"/detectors/{detector}/{table}.json").json()["rows"]
        told += [row[name] for row in rows for name in row if name.endswith("_threshold")]
    known = [threshold for threshold in told if threshold is not None]
    assert len(known) > 50
    assert known == [round(threshold, 3) for threshold in known]
    kept = PeriodScore.objects.filter(run__submission=detector, period="past").values_list(
        "best_threshold", flat=True
    )
    assert any(threshold != round(threshold, 3) for threshold in kept)
