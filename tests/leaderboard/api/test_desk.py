"""The desk for scripts."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from leaderboard.models import WorkerBeat
from leaderboard.services.audit import Verb, record
from protocols.contract import Phase
from protocols.states import BatchState, StepState
from tests.leaderboard.factories import BatchFactory, EditionFactory, RunFactory, StepFactory, UnitFactory

pytestmark = pytest.mark.django_db
DESK = "/api/v1/desk/"


def test_the_front_names_what_a_script_would_act_on(maintainer: APIClient) -> None:
    sealed = BatchFactory(state=BatchState.SEALED)
    edition = EditionFactory(number=3, opened_at=None)
    answer = maintainer.get(DESK).json()
    needs = {item["need"]: item for item in answer["attention"]}
    assert needs["batch sealed"]["batch"] == str(sealed.pk)
    assert needs["edition waits"]["benchmark"] == edition.benchmark.slug
    assert needs["edition waits"]["edition"] == 3
    assert needs["edition waits"]["worker"] is None
    assert answer["failures"] == {"platform": 0, "maintainer": 0, "participant": 0}


def test_each_part_answers_with_what_is_there(maintainer: APIClient) -> None:
    now = timezone.now()
    WorkerBeat.objects.create(name="w@host", gpus=["0"], engine="podman 5", started_at=now, seen_at=now)
    run = RunFactory(submission__owner__username="noor")
    step = StepFactory(
        run=run,
        phase=Phase.TRAIN,
        window=0,
        gpus=1,
        state=StepState.RUNNING,
        leased_by="w@host",
        progress=0.5,
    )
    unit = UnitFactory(benchmark=run.edition.benchmark)
    StepFactory(run=run, phase=Phase.PREDICT, window=0, unit=unit)
    failed = {"error_code": "container_oom", "finished_at": now, "timings": {"container": 30.0}}
    StepFactory(run=run, phase=Phase.TRAIN, window=1, state=StepState.FAILED, **failed)

    (worker,) = maintainer.get(f"{DESK}workers/").json()
    assert (worker["name"], worker["state"], worker["gpus"]) == ("w@host", "alive", ["0"])
    assert (worker["step"], worker["progress"]) == (step.pk, 0.5)

    queue = maintainer.get(f"{DESK}queue/").json()
    assert {(row["what"], row["gpus"], row["ready"], row["running"]) for row in queue["rows"]} == {
        ("first contact", 0, 1, 0),
        ("train", 1, 0, 1),
    }
    (arrival,) = maintainer.get(f"{DESK}arrivals/").json()
    assert (arrival["generator"], arrival["steps"], arrival["is_final"]) == (unit.generator.slug, 1, False)

    failures = maintainer.get(f"{DESK}failures/").json()
    assert failures["by_owner"]["participant"] == 1
    (code,) = failures["codes"]
    assert (code["code"], code["owner"], code["count"]) == ("container_oom", "participant", 1)
    assert code["newest"][0]["target"] == str(run.submission_id)

    cost = maintainer.get(f"{DESK}cost/").json()
    (owner,) = cost["owners"]
    assert (owner["owner"], owner["total"]["container_s"], owner["total"]["money"]) == ("noor", 30.0, None)

    storage = maintainer.get(f"{DESK}storage/").json()
    assert {stock["kind"] for stock in storage["stocks"]} >= {"archives", "artifacts", "checkpoints"}


def test_the_log_comes_in_pages_and_can_be_filtered(maintainer: APIClient) -> None:
    for number in range(3):
        record("ada", Verb.BATCH_CREATED, f"generator-{number}", batch=f"b{number}")
    record("noor", Verb.STORAGE_FREED, "artifacts", reason="full")
    address = f"{DESK}actions/"
    page = maintainer.get(f"{address}?page_size=2").json()
    assert [row["actor"] for row in page["results"]] == ["noor", "ada"]
    assert page["next"]
    for query, n in (("actor=ada", 3), ("verb=storage freed", 1), ("text=B1", 1), ("text=full&actor=ada", 0)):
        assert len(maintainer.get(f"{address}?{query}").json()["results"]) == n, query
    assert maintainer.get(f"{address}?verb=nonsense").status_code == 400
    assert maintainer.post(address, {}).status_code == 405


def test_the_desk_tells_no_secret(maintainer: APIClient) -> None:
    WorkerBeat.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    for part in ("", "workers/", "storage/", "failures/"):
        text = json.dumps(maintainer.get(f"{DESK}{part}").json())
        assert "password" not in text
        assert "/store" not in text
