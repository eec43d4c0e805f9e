"""What machines ask of the web process."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from leaderboard.models import Step, WorkerBeat
from local.postgres import Postgres
from local.redis import Redis
from protocols.contract import Phase
from protocols.states import BatchState, StepState
from tests.leaderboard.factories import BatchFactory, EditionFactory, RunFactory, StepFactory, UnitFactory

Labels = tuple[tuple[str, str], ...]


def ready(client: Client) -> tuple[int, dict[str, str]]:
    """The status of the answer and of each part."""
    answer = client.get("/health/ready")
    body = json.loads(answer.content)
    assert set(body) == {"status", "checks"}
    parts = {name: check["status"] for name, check in body["checks"].items()}
    return answer.status_code, {"all": body["status"], **parts}


def scraped(client: Client) -> dict[str, dict[Labels, float]]:
    """Every sample that Prometheus would read."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


# Health


def test_a_live_process_says_so_without_asking_anybody(client: Client) -> None:
    # No database is at hand in this test.
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]
    assert client.post("/health/live").status_code == 405


@pytest.mark.django_db
def test_a_server_with_all_its_parts_is_ready(client: Client) -> None:
    assert ready(client) == (
        200,
        {"all": "ok", "database": "ok", "migrations": "ok", "store": "ok", "broker": "ok"},
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_without_its_database_it_is_not_ready_and_then_it_is_again(
    client: Client, postgres_server: Postgres
) -> None:
    connection.close()
    postgres_server.stop()
    try:
        status, parts = ready(client)
        body = client.get("/health/ready").content.decode()
    finally:
        postgres_server.start()
    assert (status, parts["all"], parts["database"]) == (503, "failed", "failed")
    assert "migrations" not in parts
    assert parts["store"] == "ok"
    assert str(postgres_server.socket_folder) not in body
    assert str(connection.settings_dict["NAME"]) not in body
    assert ready(client)[0] == 200


@pytest.mark.django_db
def test_a_database_that_was_not_migrated_is_not_ready(client: Client) -> None:
    graph = MigrationLoader(connection).graph
    for app, name in graph.leaf_nodes("leaderboard"):
        MigrationRecorder(connection).record_unapplied(app, name)
    status, parts = ready(client)
    assert (status, parts["migrations"], parts["database"]) == (503, "failed", "ok")


@pytest.mark.django_db
def test_a_store_that_cant_be_written_is_not_ready(
    client: Client, settings: LazySettings, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    settings.HOME = tmp_path
    status, parts = ready(client)
    assert (status, parts["store"]) == (503, "failed")
    assert str(tmp_path) not in client.get("/health/ready").content.decode()


@pytest.mark.django_db
@pytest.mark.processes
def test_without_a_broker_it_is_degraded_and_ready(client: Client, redis_server: Redis) -> None:
    redis_server.stop()
    try:
        status, parts = ready(client)
    finally:
        redis_server.start()
    assert (status, parts["all"], parts["broker"]) == (200, "degraded", "degraded")


# Who may scrape


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.7", {}, 403),
        ("", {}, 403),
        # Behind a proxy on this machine everybody comes from the loopback.
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 403),
        ("127.0.0.1", {"X-Real-IP": "203.0.113.9"}, 403),
        ("127.0.0.1", {"Authorization": "Bearer "}, 200),
        ("10.0.0.7", {"Authorization": "Bearer "}, 403),
    ],
)
def test_without_a_token_only_this_machine_may_scrape(
    client: Client, settings: LazySettings, address: str, headers: dict[str, str], status: int
) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("Bearer s3cret", 200),
        *((wrong, 403) for wrong in ("Bearer wrong", "s3cret", "Bearer ", "", "Bearer é")),
    ],
)
def test_with_a_token_whoever_shows_it_may_scrape_and_nobody_else(
    client: Client, settings: LazySettings, shown: str, status: int
) -> None:
    settings.METRICS_TOKEN = "s3cret"
    for address in ("127.0.0.1", "10.0.0.7"):
        answer = client.get("/metrics", REMOTE_ADDR=address, headers={"Authorization": shown})
        assert answer.status_code == status
        assert b"s3cret" not in answer.content


# Figures


@pytest.mark.django_db
def test_figures_are_those_of_the_database_at_that_moment(client: Client) -> None:
    now = timezone.now()
    WorkerBeat.objects.create(name="gpu@host", gpus=["0", "1"], started_at=now, seen_at=now)
    WorkerBeat.objects.create(name="gone@host", gpus=["0"], started_at=now, seen_at=now - timedelta(days=1))
    run = RunFactory()
    StepFactory(run=run, phase=Phase.TRAIN, window=0, ready_at=now - timedelta(minutes=30))
    StepFactory(run=run, phase=Phase.TRAIN, window=1, gpus=1, state=StepState.RUNNING)
    StepFactory(run=run, window=2, state=StepState.FAILED, error_code="internal", finished_at=now)
    unit = UnitFactory(benchmark=run.edition.benchmark)
    contact = StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=unit)
    BatchFactory(state=BatchState.SEALED)
    EditionFactory(opened_at=None)
    found = scraped(client)

    def steps(state: str, phase: str, gpus: str) -> float:
        return found["tidemark_steps"][("gpus", gpus), ("phase", phase), ("state", state)]

    assert steps("ready", "train", "0") == 1
    assert steps("running", "train", "1") == 1
    assert steps("ready", "predict", "0") == 1
    assert found["tidemark_first_contact_steps"][(("state", "ready"),)] == 1
    assert found["tidemark_first_contact_steps"][(("state", "running"),)] == 0
    assert found["tidemark_oldest_ready_seconds"][()] == pytest.approx(1800, abs=60)
    assert found["tidemark_workers"][(("state", "alive"),)] == 1
    assert found["tidemark_workers"][(("state", "lost"),)] == 1
    assert found["tidemark_worker_gpus"][()] == 2
    assert found["tidemark_failures_total"] == {
        (("owner", "maintainer"),): 0,
        (("owner", "participant"),): 0,
        (("owner", "platform"),): 1,
    }
    assert found["tidemark_arrivals_pending"][()] == 1
    assert found["tidemark_batches"][(("state", "sealed"),)] == 1
    assert found["tidemark_editions_unapproved"][()] == 1
    assert (("kind", "artifacts"),) in found["tidemark_store_bytes"]
    assert found["tidemark_disk_free_bytes"][()] > 0
    # Whichever process answers next, it says what is so then.
    Step.objects.filter(pk=contact.pk).update(state=StepState.SUCCEEDED)
    assert scraped(client)["tidemark_arrivals_pending"][()] == 0


@pytest.mark.django_db
def test_an_idle_server_has_every_figure_too(client: Client) -> None:
    found = scraped(client)
    assert found["tidemark_oldest_ready_seconds"][()] == 0
    assert sum(found["tidemark_workers"].values()) == 0
    assert len(found["tidemark_batches"]) == len(BatchState)
    assert not re.search(r"python_|process_", " ".join(found)), "figures of one process of many"
