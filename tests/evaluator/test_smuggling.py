"""What a hostile detector can tell its submitter of evaluation images, read back as its submitter would.

Two runs of one way have two secrets to tell of the same images. Whatever their owner can read of them,
by the API, on the pages, by mail and by webhook, is the same of both, or the way is one of the few that
``docs/decisions/0009-what-leaves-a-container.md`` counts.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from rest_framework.test import APIClient

from evaluator.lease import held
from evaluator.submissions import check_submission
from evaluator.tasks import work_off
from leaderboard.models import Channel, Delivery, Step, Submission, User
from leaderboard.services.leases import claim_check
from leaderboard.services.notifications import body_of, email_of
from leaderboard.services.submissions import submission_accept, submission_cancel
from leaderboard.services.subscriptions import webhook_create
from local.images import ensure_detector
from protocols.contract import Phase
from protocols.errors import CATALOGUE
from protocols.exceptions import EXCEPTIONS, OUT_OF_MEMORY
from protocols.states import RunState, StepState, SubmissionState
from sandbox.logs import PACE_S
from tests.engines import Engines, Running
from tests.evaluator.smuggler import DETECTOR, MARK, OPEN_WAYS, WAYS, seeds
from tests.evaluator.world import make_archive, make_world, submit
from tests.leaderboard.factories import SubmissionFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.container]

DECISION = (Path(__file__).parents[2] / "docs" / "decisions" / "0009-what-leaves-a-container.md").read_text()


@pytest.fixture
def smuggler(engines: Engines, podman: Running) -> Path:
    path = engines.folder / "smuggler.tar"
    if not path.exists():
        constant = ensure_detector(podman.engine, "constant")
        make_archive(podman.client, constant, path, phases="predict", detector=DETECTOR)
    return path


@pytest.fixture
def checked(worker_settings: LazySettings, smuggler: Path) -> Iterator[Submission]:
    """The smuggler's archive in the store, after the server's own check of it."""
    # Workers of other tests that run beside these must not take these containers for their strays.
    worker_settings.INSTANCE = f"smuggling-{os.getpid()}"
    benchmark = make_world(2)
    submission = submit(benchmark, smuggler, "checked")
    claimed = claim_check(Submission, "w1")
    assert claimed == submission
    with held(claimed) as lease:
        check_submission(claimed, lease)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.TRIAL, submission.error_detail
    # Its trial is another test's business: it runs on public images.
    submission_cancel(submission, actor="owner")
    return submission


def run_ways(checked: Submission, ways: dict[str, str]) -> dict[str, tuple[Submission, Submission]]:
    """Two entries for each way, which have run to their ends: the one secret and the other."""
    User.objects.filter(pk=checked.owner_id).update(email="owner@example.org")
    webhook_create(owner=checked.owner, url="https://example.org/hook", benchmark=None)

    def enter(way: str, seed: int) -> Submission:
        entry: Submission = SubmissionFactory(
            owner=checked.owner,
            team=checked.team,
            benchmark=checked.benchmark,
            name=f"{way} {seed % 2}",
            seed=seed,
            state=SubmissionState.TRIAL,
            archive=checked.archive,
            image_id=checked.image_id,
            phases=["predict"],
        )
        submission_accept(entry)
        return entry

    entered = {way: (enter(way, seeds(way)[0]), enter(way, seeds(way)[1])) for way in ways}
    work_off("w1")
    return entered


@dataclass(frozen=True)
class Readable:
    """Everything that its owner can read of an entry: as it stands, and without what differs anyway."""

    raw: str
    plain: str


# Numbers of rows, times, names and seeds: what differs between any two entries.
ANYWAY = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|\+00:00)?", "TIME"),
    (r'"(id|run|step|seed|queue_position)": \d+', r'"\1": 0'),
    (r'"(prepare|stage|load|engine|collect|score|container|container_s|total_s|cost_s)": [\d.]+', r'"\1": 0'),
    (r"/news/[\w-]+/", "/news/TOKEN/"),
    (r"seed \d+", "seed 0"),
    # Of the image, what was trained and the seed: it is known before the container begins.
    (r'"key": "[0-9a-f]{64}"', '"key": "KEY"'),
]


def readable(entry: Submission) -> Readable:
    owner = User.objects.get(pk=entry.owner_id)
    api, browser = APIClient(), Client()
    api.force_authenticate(owner)
    browser.force_login(owner)
    run = entry.runs.get()
    parts: list[str] = []
    for address in (
        f"submissions/{entry.pk}/",
        f"submissions/{entry.pk}/trial/",
        f"runs/{run.pk}/",
        *(f"steps/{step.pk}/" for step in run.steps.all()),
        f"events/?submission={entry.pk}",
        f"detectors/{entry.pk}/",
    ):
        answer = api.get(f"/api/v1/{address}")
        assert answer.status_code in (200, 404), address
        parts.append(json.dumps(answer.json(), sort_keys=True))
    news = Delivery.objects.filter(payload__submission__id=str(entry.pk)).order_by(
        "event", "subscription__channel"
    )
    for told in news:
        is_mail = told.subscription.channel == Channel.EMAIL
        parts.append(str(email_of(told).message()["Subject"]) if is_mail else "")
        parts.append(
            email_of(told).body if is_mail else json.dumps(json.loads(body_of(told)), sort_keys=True)
        )
    assert {told.subscription.channel for told in news} == {Channel.EMAIL, Channel.WEBHOOK}
    text = "\n".join(parts).replace(entry.name, "NAME")
    plain = text
    for pattern, name in ANYWAY:
        plain = re.sub(pattern, name, plain)
    # Pages have more that differs, such as a token in each form: they are searched, not compared.
    for address in (
        f"/submissions/{entry.pk}/",
        f"/submissions/{entry.pk}/?log={run.steps.last().pk}",
        f"/detectors/{entry.pk}/",
        "/submissions/",
        "/notifications/",
    ):
        answer = browser.get(address)
        assert answer.status_code in (200, 404), address
        text += answer.content.decode()
    return Readable(text, plain)


def step_of(entry: Submission) -> Step:
    return entry.runs.get().steps.get()


def test_nothing_that_a_prediction_says_reaches_its_submitter(checked: Submission) -> None:
    entered = run_ways(checked, WAYS)
    told: dict[str, str] = {}
    for way, entries in entered.items():
        one, other = map(readable, entries)
        for entry, read in zip(entries, (one, other), strict=True):
            assert entry.runs.get().state in (RunState.SUCCEEDED, RunState.FAILED), way
            assert MARK not in read.raw, way
            step = step_of(entry)
            assert step.log_tail == "", way
            assert all(value == int(value) for value in step.timings.values()), (way, step.timings)
        assert one.plain == other.plain, way
        told[way] = step_of(entries[0]).error_detail
    # They did what they were to do: every way that makes a prediction fail has failed, by its own code.
    codes = {way: step_of(entries[0]).error_code for way, entries in entered.items()}
    assert codes == {
        "prints": "container_exit",
        "a class of its own": "container_exit",
        "a module of its own": "container_exit",
        "exit code": "container_exit",
        "signal": "container_exit",
        "which exit code of a start": "container_start",
        "which file size signal": "container_exit",
        "which want of memory": "container_oom",
        "rows": "predictions_too_many",
        "rows without a number": "predictions_malformed",
        "an unknown image": "predictions_unknown",
        "an image twice": "predictions_duplicate",
        "a score that is none": "predictions_nan",
        "a score out of range": "predictions_range",
        "rows left out": "predictions_incomplete",
        "header": "predictions_header",
        "bytes that are no text": "predictions_encoding",
        "a link": "output_irregular",
        "a closed folder": "",
        "folders": "output_irregular",
        "files and the state": "",
        "order, digits and low bits": "",
        "progress": "",
    } | {"a closed folder": codes["a closed folder"]}
    assert codes["a closed folder"] in ("", "output_irregular"), (
        "the worker's user decides whether it reads it"
    )
    assert told["prints"] == "It ended by ValueError."
    assert told["a class of its own"] == "It ended by an exception that has no name here, or none."
    for way, code in codes.items():
        if code not in ("", "container_exit"):
            assert told[way] == CATALOGUE[code].what, way


def test_what_gets_through_is_what_the_document_counts(checked: Submission) -> None:
    entered = run_ways(checked, OPEN_WAYS)
    read = {way: tuple(map(readable, entries)) for way, entries in entered.items()}
    for way, (one, other) in read.items():
        assert MARK not in one.raw + other.raw, way
    details = {way: [step_of(entry).error_detail for entry in entries] for way, entries in entered.items()}
    assert details["which exception"] == ["It ended by ValueError.", "It ended by KeyError."]
    codes = [step_of(entry).error_code for entry in entered["which error"]]
    assert codes == ["predictions_header", "predictions_incomplete"]
    one, _ = entered["scores"]
    news = Delivery.objects.filter(event="run.succeeded", payload__submission__id=str(one.pk))
    headline = one.runs.get().scores.get(period="whole")
    assert [told.payload["scores"]["whole"]["value"] for told in news] == [headline.value] * 2
    aurocs = [entry.runs.get().unit_scores.order_by("unit").first().roc_auc for entry in entered["scores"]]
    assert aurocs[0] == pytest.approx(1 - aurocs[1])
    short, long = (step_of(entry).timings["container"] for entry in entered["how long it takes"])
    assert 5 <= long - short <= 12


def test_progress_of_a_prediction_is_seen_in_tenths_and_late(
    checked: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluator.lease import Lease

    shown: dict[int, list[float]] = {}
    original = Lease.report

    def report(lease: Any, progress: float, activity: str) -> None:
        if activity == "predicting":
            shown.setdefault(lease.work.run.seed % 2, []).append(progress)
        original(lease, progress, activity)

    monkeypatch.setattr(Lease, "report", report)
    entered = run_ways(checked, {way: OPEN_WAYS[way] for way in ["progress of a long step"]})
    for entry in entered["progress of a long step"]:
        assert entry.runs.get().state == RunState.SUCCEEDED, entry.runs.get().error_detail
    assert shown == {0: [0.0, 0.3], 1: [0.0, 0.7]}


def test_what_training_says_is_shown_and_what_evaluation_says_is_not(
    worker_settings: LazySettings, podman: Running, tmp_path: Path
) -> None:
    """The same words of the same detector in both phases."""
    detector = """
import sys
print("words of", sys.argv[1], flush=True)
raise ValueError("in " + sys.argv[1])
"""
    path = make_archive(
        podman.client, ensure_detector(podman.engine, "constant"), tmp_path / "talker.tar", detector=detector
    )
    worker_settings.INSTANCE = f"smuggling-{os.getpid()}"
    benchmark = make_world(2)
    submission = submit(benchmark, path, "talker")
    claimed = claim_check(Submission, "w1")
    assert claimed is not None
    with held(claimed) as lease:
        check_submission(claimed, lease)
    claimed.refresh_from_db()
    submission_accept(claimed)
    work_off("w1")
    step = Step.objects.get(run__submission=submission, phase=Phase.TRAIN)
    assert step.state == StepState.FAILED
    assert step.error_detail == "It ended with exit code 1, by ValueError."
    assert "words of train\n" in step.log_tail
    assert "ValueError: in train" in step.log_tail
    api = APIClient()
    api.force_authenticate(submission.owner)
    assert "words of train" in api.get(f"/api/v1/steps/{step.pk}/").json()["log_tail"]


def failures() -> int:
    """In how many ways a prediction can fail by its own doing, as its submitter sees them."""
    codes = [
        code
        for code in CATALOGUE
        if code.startswith(("predictions_", "output_"))
        or code in ("container_oom", "container_timeout")
        or code in ("container_start", "log_flood", "container_exit")
    ]
    # Out of memory has a code of its own; an exception without a name is one more.
    return len(codes) + len(EXCEPTIONS - OUT_OF_MEMORY)


def bits_of_progress(seconds: float) -> float:
    """Of a step so long: in which of its intervals each of the ten tenths came, or that it never did."""
    return math.log2(math.comb(int(seconds // PACE_S) + 10, 10))


def test_the_document_has_the_numbers() -> None:
    assert f"| which error, and which exception | {math.log2(failures()):.1f} |" in DECISION
    assert f"{failures()} different failures" in DECISION
    row = " / ".join(f"{bits_of_progress(seconds):.0f}" for seconds in (60, 600, 3600))
    assert f"| progress, of a step of 1 / 10 / 60 minutes | {row} |" in DECISION


def test_the_document_counts_the_ways() -> None:
    assert f"with {len(WAYS)} ways to tell a secret" in DECISION
    assert len(OPEN_WAYS) == 5
    assert "Five more ways get through" in DECISION
