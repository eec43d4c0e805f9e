"""What the resources answer."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from leaderboard.models import Batch, Benchmark, Corpus, Generator, Split, Submission, User, Visibility
from leaderboard.models.benchmarks import default_budgets
from protocols.contract import Phase
from protocols.states import BatchState, RunState, StepState, SubmissionState
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    CorpusFactory,
    EditionFactory,
    EventFactory,
    GeneratorFactory,
    ImageFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
    WindowFactory,
)

API = "/api/v1"


def get(client: APIClient, path: str, **query: Any) -> Any:
    answer = client.get(f"{API}/{path}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def post(client: APIClient, path: str, body: Any = None, *, status: int = 201) -> Any:
    answer = client.post(f"{API}/{path}", body)
    assert answer.status_code == status, answer.content
    return answer


def listed(client: APIClient, path: str, key: str, **query: Any) -> list[Any]:
    return [row[key] for row in get(client, path, **query)["results"]]


# Corpora, generators, batches.


def test_what_is_made_is_found_at_its_location(maintainer: APIClient) -> None:
    corpus = post(maintainer, "corpora/", {"slug": "faces", "name": "Faces", "simulated": True})
    assert corpus["Location"] == "/api/v1/corpora/faces/"
    generator = post(
        maintainer,
        "generators/",
        {
            "corpus": "faces",
            "slug": "progan",
            "name": "ProGAN",
            "family": "gan",
            "release_date": "2017-10-27",
        },
    )
    assert generator["Location"] == "/api/v1/generators/faces/progan/"
    batch = post(maintainer, "batches/", {"corpus": "faces", "generator": "progan"})
    reals = post(maintainer, "batches/", {"corpus": "faces", "real_source": "camera"})
    benchmark = post(maintainer, "benchmarks/", {"slug": "bench", "name": "Bench", "corpus": "faces"})
    submission = post(maintainer, "submissions/", {"benchmark": "bench", "name": "mine"})
    for answer in (corpus, generator, batch, reals, benchmark, submission):
        found = maintainer.get(answer["Location"]).json()
        assert {name: found[name] for name in answer.json()} == answer.json()
    assert generator.json() == {
        "corpus": "faces",
        "slug": "progan",
        "name": "ProGAN",
        "family": "gan",
        "release_date": "2017-10-27",
        "source": "",
        "licence": "",
        "shows_samples": False,
        "withdrawn_at": None,
        "withdrawal_reason": "",
    }
    assert (batch.json()["generator"], batch.json()["real_source"]) == ("progan", "")
    assert (reals.json()["generator"], reals.json()["real_source"]) == (None, "camera")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("corpora/", {"slug": "faces", "name": "x"}),
        ("generators/", {"corpus": "faces", "slug": "g", "name": "x", "release_date": "2020-01-01"}),
        ("benchmarks/", {"slug": "bench", "name": "x", "corpus": "faces"}),
        ("submissions/", {"benchmark": "bench", "name": "x"}),
    ],
)
def test_making_it_again_is_a_conflict(maintainer: APIClient, path: str, body: dict[str, Any]) -> None:
    if path != "corpora/":
        corpus = CorpusFactory(slug="faces")
        if path == "submissions/":
            BenchmarkFactory(slug="bench", corpus=corpus)
    post(maintainer, path, body)
    assert post(maintainer, path, body, status=409).json()["errors"][0]["code"] == "conflict"


def test_a_batch_is_of_one_thing(maintainer: APIClient) -> None:
    generator = GeneratorFactory()
    elsewhere = GeneratorFactory()
    for body in (
        {},
        {"generator": generator.slug, "real_source": "camera"},
        {"generator": elsewhere.slug},
        {"generator": "unknown"},
    ):
        post(maintainer, "batches/", {"corpus": generator.corpus.slug, **body}, status=400)
    assert not Batch.objects.exists()


def test_a_batch_is_submitted_followed_and_published(client_of: ClientOf) -> None:
    user = UserFactory(maintainer=True)
    client = client_of(user)
    batch = BatchFactory(state=BatchState.UPLOADING, created_by=user)
    unfinished = UploadFactory(owner=user, length=100)
    body = {"upload": str(unfinished.pk)}
    refused = post(client, f"batches/{batch.pk}/submit/", body, status=409)
    assert refused.json()["errors"][0]["code"] == "upload_incomplete"
    foreign = {"upload": str(UploadFactory().pk)}
    assert (
        post(client, f"batches/{batch.pk}/submit/", foreign, status=400).json()["errors"][0]["attr"]
        == "upload"
    )

    upload = UploadFactory(owner=user)
    body = {"upload": str(upload.pk)}
    assert post(client, f"batches/{batch.pk}/submit/", body, status=200).json()["state"] == "checking"
    other = BatchFactory(corpus=batch.corpus, state=BatchState.UPLOADING)
    refused = post(client, f"batches/{other.pk}/submit/", body, status=409)
    assert refused.json()["errors"][0]["code"] == "upload_used"
    refused = post(client, f"batches/{batch.pk}/publish/", status=409)
    assert refused.json()["errors"][0]["code"] == "illegal_transition"

    Batch.objects.filter(pk=batch.pk).update(
        state=BatchState.SEALED, progress=0.5, activity="hashing", report={"rejected": []}
    )
    shown = get(client, f"batches/{batch.pk}/")
    assert (shown["progress"], shown["activity"], shown["report"]) == (0.5, "hashing", {"rejected": []})
    assert post(client, f"batches/{batch.pk}/publish/", status=200).json()["state"] == "published"
    moves = [(e["old"], e["new"], e["actor"]) for e in get(client, "events/", batch=batch.pk)["results"]]
    assert moves == [
        ("uploading", "checking", user.username),
        ("sealed", "published", user.username),
    ]


def test_what_went_wrong_is_explained(maintainer: APIClient) -> None:
    batch = BatchFactory(
        state=BatchState.REJECTED, error_code="batch_empty", error_detail="All 3 are broken."
    )
    error = get(maintainer, f"batches/{batch.pk}/")["error"]
    assert error == {
        "code": "batch_empty",
        "owner": "maintainer",
        "what": "No usable image is left in the batch.",
        "detail": "All 3 are broken.",
        "fix": "Read the report of rejected images.",
    }
    assert get(maintainer, f"batches/{BatchFactory().pk}/")["error"] is None


def test_generators_are_filtered_and_in_the_order_of_release(visitor: APIClient) -> None:
    corpus = CorpusFactory()

    def generator(slug: str, day: str, family: str) -> Generator:
        made = GeneratorFactory(corpus=corpus, slug=slug, release_date=day, family=family)
        return BatchFactory(corpus=corpus, generator=made).generator

    generator("c", "2022-03-01", "diffusion")
    generator("a", "2020-01-01", "gan")
    generator("b", "2021-02-01", "gan")
    BatchFactory()
    here = {"corpus": corpus.slug}
    assert listed(visitor, "generators/", "slug", **here) == ["a", "b", "c"]
    assert listed(visitor, "generators/", "slug", **here, family="gan") == ["a", "b"]
    assert listed(visitor, "generators/", "slug", **here, released_after="2020-01-01") == ["b", "c"]
    assert listed(visitor, "generators/", "slug", **here, released_before="2021-02-01") == ["a"]


def test_lists_hide_what_is_not_for_everybody(visitor: APIClient, maintainer: APIClient) -> None:
    corpus = CorpusFactory()
    states = {state: BatchFactory(corpus=corpus, state=state) for state in BatchState}
    shown = {str(states[BatchState.SEALED].pk), str(states[BatchState.PUBLISHED].pk)}
    assert set(listed(visitor, "batches/", "id")) == shown
    assert len(listed(maintainer, "batches/", "id")) == len(states)
    assert listed(visitor, "batches/", "state", state="published") == ["published"]
    assert len(listed(visitor, "generators/", "slug", corpus=corpus.slug)) == 2
    assert len(listed(maintainer, "generators/", "slug", corpus=corpus.slug)) == len(states)


def test_long_lists_come_in_pages_that_new_rows_do_not_disturb(visitor: APIClient) -> None:
    for number in range(5):
        CorpusFactory(slug=f"c{number}")
    page = get(visitor, "corpora/", page_size=2)
    seen = [row["slug"] for row in page["results"]]
    CorpusFactory(slug="a-new-one-before")
    while page["next"]:
        page = visitor.get(page["next"]).json()
        seen += [row["slug"] for row in page["results"]]
    assert seen == ["c0", "c1", "c2", "c3", "c4"]
    assert page["previous"]


def test_a_page_has_a_bound(visitor: APIClient) -> None:
    Corpus.objects.bulk_create(Corpus(slug=f"c{n}", name="x") for n in range(510))
    assert len(get(visitor, "corpora/")["results"]) == 50
    assert len(get(visitor, "corpora/", page_size=100_000)["results"]) == 500


# Benchmarks.


def test_a_benchmark_merges_its_budgets_with_the_defaults(maintainer: APIClient) -> None:
    corpus = CorpusFactory()
    body = {
        "slug": "b",
        "name": "B",
        "corpus": corpus.slug,
        "budgets": {"train": {"timeout_s": 60, "gpus": 1}},
    }
    budgets = post(maintainer, "benchmarks/", body).json()["budgets"]
    expected = default_budgets()
    expected["train"] |= {"timeout_s": 60.0, "gpus": 1}
    assert budgets == expected
    benchmark = Benchmark.objects.get(slug="b")
    assert benchmark.budget(Phase.TRAIN).timeout_s == 60
    assert benchmark.budget(Phase.PREDICT).timeout_s == 1800


def test_a_benchmark_shows_its_windows_the_open_one_and_who_waits(visitor: APIClient) -> None:
    benchmark = BenchmarkFactory(generators_per_window=2)
    corpus = benchmark.corpus

    def published(slug: str, day: str) -> Generator:
        made = GeneratorFactory(corpus=corpus, slug=slug, release_date=date.fromisoformat(day))
        return BatchFactory(corpus=corpus, generator=made).generator

    empty = get(visitor, f"benchmarks/{benchmark.slug}/")
    assert (empty["edition"], empty["open_window"], empty["editions"]) == (None, [], [])

    a, b = published("a", "2020-01-01"), published("b", "2020-06-01")
    EditionFactory(benchmark=benchmark, number=1)
    edition = EditionFactory(benchmark=benchmark, number=2)
    WindowFactory(edition=edition, index=0, generators=[a, b])
    published("late", "2020-03-01")
    published("next", "2021-01-01")
    BatchFactory(
        corpus=corpus, generator__slug="sealed", generator__release_date="2021-02-01", state=BatchState.SEALED
    )
    shown = get(visitor, f"benchmarks/{benchmark.slug}/")
    assert shown["editions"] == [1, 2]
    assert shown["edition"]["number"] == 2
    assert [g["slug"] for w in shown["edition"]["windows"] for g in w["generators"]] == ["a", "b"]
    assert [g["slug"] for g in shown["open_window"]] == ["next"]
    assert [g["slug"] for g in shown["waiting"]] == ["late"]
    assert get(visitor, f"benchmarks/{benchmark.slug}/editions/2/") == shown["edition"]
    assert listed(visitor, f"benchmarks/{benchmark.slug}/editions/", "number") == [1, 2]
    assert visitor.get(f"{API}/benchmarks/none/editions/").status_code == 404


def test_an_edition_is_opened_once(maintainer: APIClient) -> None:
    benchmark = BenchmarkFactory(generators_per_window=1)
    path = f"benchmarks/{benchmark.slug}/editions/"
    refused = post(maintainer, path, status=409)
    assert refused.json()["errors"][0]["code"] == "nothing_to_open"

    for batch in (BatchFactory(corpus=benchmark.corpus), BatchFactory(corpus=benchmark.corpus, real=True)):
        for split in Split:
            for _ in range(3):
                ImageFactory(batch=batch, split=split)
    opened = post(maintainer, path)
    assert opened["Location"] == f"/api/v1/{path}1/"
    assert [window["n_images"] for window in opened.json()["windows"]] == [6]
    assert post(maintainer, path, status=200).json() == opened.json()
    assert listed(maintainer, path, "number") == [1]


# Submissions.


@pytest.fixture
def benchmark(db: None) -> Benchmark:
    return BenchmarkFactory()


def test_a_submission_is_entered_filled_and_cancelled(
    owner: APIClient, submitter: User, benchmark: Benchmark
) -> None:
    body = {
        "benchmark": benchmark.slug,
        "name": "spectrum",
        "paper_url": "https://example.org/paper",
        "declared_cutoff": "2020-02-29",
        "visibility": "private",
        "seed": 7,
    }
    made = post(owner, "submissions/", body).json()
    assert made["state"] == "draft"
    assert {name: made[name] for name in body} == body
    assert made["owner"] == submitter.username

    path = f"submissions/{made['id']}/"
    upload = UploadFactory(owner=submitter)
    sent = post(owner, f"{path}upload/", {"upload": str(upload.pk)}, status=200).json()
    assert sent["state"] == "checking"
    assert sent["sealed_at"] is not None
    again = post(owner, f"{path}upload/", {"upload": str(UploadFactory(owner=submitter).pk)}, status=409)
    assert again.json()["errors"][0]["code"] == "illegal_transition"
    assert post(owner, f"{path}cancel/", status=200).json()["state"] == "withdrawn"
    assert post(owner, f"{path}cancel/", status=409).json()["errors"][0]["code"] == "illegal_transition"
    moves = [(e["old"], e["new"]) for e in get(owner, "events/", submission=made["id"])["results"]]
    assert moves == [("draft", "checking"), ("checking", "withdrawn")]
    # The name is free again.
    post(owner, "submissions/", body)


def test_somebody_elses_upload_cannot_be_entered(
    owner: APIClient, submitter: User, benchmark: Benchmark
) -> None:
    draft = SubmissionFactory(owner=submitter, benchmark=benchmark, draft=True)
    body = {"upload": str(UploadFactory().pk)}
    refused = post(owner, f"submissions/{draft.pk}/upload/", body, status=400)
    assert refused.json()["errors"][0]["attr"] == "upload"
    assert Submission.objects.get().state == SubmissionState.DRAFT


def test_cancelling_an_accepted_submission_cancels_its_runs(
    owner: APIClient, submitter: User, benchmark: Benchmark
) -> None:
    run = RunFactory(submission=SubmissionFactory(owner=submitter, benchmark=benchmark))
    StepFactory(run=run)
    shown = post(owner, f"submissions/{run.submission_id}/cancel/", status=200).json()
    assert shown["state"] == "accepted"
    assert get(owner, f"runs/{run.pk}/")["state"] == "cancelled"


def test_a_submission_shows_its_runs_and_steps_with_their_place_in_the_queue(
    visitor: APIClient, benchmark: Benchmark
) -> None:
    submission = SubmissionFactory(benchmark=benchmark)
    run = RunFactory(submission=submission)
    now = timezone.now()
    StepFactory(
        run=run,
        window=0,
        state=StepState.SUCCEEDED,
        progress=1.0,
        timings={"container": 2.5},
        ready_at=now - timedelta(hours=1),
    )
    StepFactory(run=run, window=0, phase=Phase.PREDICT, state=StepState.READY, ready_at=now)
    StepFactory(run=run, window=1, state=StepState.READY, ready_at=now + timedelta(seconds=1))
    StepFactory(run=run, window=1, phase=Phase.PREDICT, state=StepState.WAITING, ready_at=None)
    StepFactory(ready_at=now - timedelta(seconds=1))
    shown = get(visitor, f"submissions/{submission.pk}/")
    (shown_run,) = shown["runs"]
    assert shown_run["progress"] == 0.25
    steps = [(s["phase"], s["window"], s["state"], s["queue_position"]) for s in shown_run["steps"]]
    assert steps == [
        ("train", 0, "succeeded", None),
        ("predict", 0, "ready", 2),
        ("train", 1, "ready", 3),
        ("predict", 1, "waiting", None),
    ]
    assert shown_run["steps"][0]["timings"] == {"container": 2.5}
    assert get(visitor, f"runs/{run.pk}/") == shown_run
    detail = get(visitor, f"steps/{shown_run['steps'][1]['id']}/")
    assert detail.pop("log_tail") is None
    assert detail == shown_run["steps"][1]


def test_a_failed_run_tells_why(visitor: APIClient) -> None:
    run = RunFactory(
        state=RunState.FAILED, error_code="container_oom", error_detail="train at window 0: killed at 6 GiB"
    )
    (shown,) = get(visitor, f"submissions/{run.submission_id}/")["runs"]
    assert shown["error"]["owner"] == "participant"
    assert shown["error"]["detail"] == "train at window 0: killed at 6 GiB"
    assert shown["error"]["fix"].startswith("Use smaller batches")


@pytest.mark.parametrize(
    ("phase", "who", "seen"),
    [
        (Phase.TRAIN, "visitor", False),
        (Phase.TRAIN, "owner", True),
        (Phase.TRAIN, "maintainer", True),
        (Phase.PREDICT, "owner", False),
        (Phase.PREDICT, "maintainer", False),
    ],
)
def test_the_log_is_for_the_owner_and_of_training_alone(
    request: pytest.FixtureRequest, submitter: User, phase: Phase, who: str, seen: bool
) -> None:
    run = RunFactory(submission=SubmissionFactory(owner=submitter))
    step = StepFactory(run=run, phase=phase, log_tail="secret pixels", state=StepState.FAILED)
    client = request.getfixturevalue(who)
    answer = client.get(f"{API}/steps/{step.pk}/")
    assert answer.json()["log_tail"] == ("secret pixels" if seen else None)
    assert ("secret" in answer.content.decode()) == seen
    for path in (f"runs/{run.pk}/", f"submissions/{run.submission_id}/"):
        assert b"secret" not in client.get(f"{API}/{path}").content


def test_submissions_are_listed_for_those_who_may_see_them(
    visitor: APIClient, owner: APIClient, maintainer: APIClient, submitter: User, benchmark: Benchmark
) -> None:
    for name, fields in {
        "public": {},
        "private": {"visibility": Visibility.PRIVATE},
        "draft": {"draft": True},
        "rejected": {"state": SubmissionState.REJECTED},
    }.items():
        SubmissionFactory(owner=submitter, benchmark=benchmark, name=name, **fields)
    SubmissionFactory(name="other")
    assert set(listed(visitor, "submissions/", "name")) == {"public", "other"}
    assert set(listed(owner, "submissions/", "name")) == {"public", "private", "draft", "rejected", "other"}
    assert set(listed(maintainer, "submissions/", "name")) == {
        "public",
        "private",
        "draft",
        "rejected",
        "other",
    }
    mine = {"public", "private", "draft", "rejected"}
    assert set(listed(owner, "submissions/", "name", mine="true")) == mine
    assert listed(visitor, "submissions/", "name", mine="true") == []
    assert set(listed(visitor, "submissions/", "name", mine="false")) == {"public", "other"}
    assert set(listed(maintainer, "submissions/", "name", owner=submitter.username)) == mine
    assert listed(owner, "submissions/", "name", state="draft") == ["draft"]
    assert set(listed(owner, "submissions/", "name", benchmark=benchmark.slug)) == mine
    assert listed(owner, "submissions/", "name", name="draft") == ["draft"]


def test_runs_are_filtered(visitor: APIClient) -> None:
    first, second = RunFactory(), RunFactory(state=RunState.SUCCEEDED)
    RunFactory(submission__visibility=Visibility.PRIVATE)
    assert listed(visitor, "runs/", "id") == [second.pk, first.pk]
    assert listed(visitor, "runs/", "id", state="succeeded") == [second.pk]
    assert listed(visitor, "runs/", "id", submission=str(first.submission_id)) == [first.pk]
    assert listed(visitor, "runs/", "id", benchmark=first.edition.benchmark.slug) == [first.pk]
    assert listed(visitor, "runs/", "id", edition=second.edition.number) == [second.pk]


def test_events_are_for_the_owner_and_maintainers(
    client_of: ClientOf, owner: APIClient, maintainer: APIClient, submitter: User
) -> None:
    run = RunFactory(submission=SubmissionFactory(owner=submitter))
    step = StepFactory(run=run)
    own = [
        EventFactory(submission=run.submission),
        EventFactory(submission=None, run=run),
        EventFactory(submission=None, step=step),
    ]
    of_a_batch = EventFactory(submission=None, batch=BatchFactory())
    foreign = EventFactory()
    ids = [event.pk for event in own]
    assert listed(owner, "events/", "id") == ids
    assert listed(owner, "events/", "id", submission=str(run.submission_id)) == ids
    assert listed(owner, "events/", "id", run=run.pk) == ids[1:]
    assert listed(owner, "events/", "id", step=step.pk) == ids[2:]
    assert listed(owner, "events/", "id", submission=str(foreign.submission_id)) == []
    assert listed(client_of(UserFactory()), "events/", "id") == []
    assert listed(maintainer, "events/", "id") == [*ids, of_a_batch.pk, foreign.pk]


@pytest.mark.parametrize(
    "path",
    [
        "corpora/",
        "generators/",
        "batches/",
        "benchmarks/",
        "submissions/",
        "runs/",
        "submissions/{}/",
        "runs/{}/",
    ],
)
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    visitor: APIClient, django_assert_num_queries: DjangoAssertNumQueries, path: str
) -> None:
    submission = SubmissionFactory()

    def fill() -> int:
        BatchFactory()
        run = RunFactory(
            submission=submission, edition=EditionFactory(benchmark=submission.benchmark, windows=2)
        )
        for _ in range(3):
            StepFactory(run=run)
        RunFactory()
        return run.pk

    run_id = fill()
    url = f"{API}/{path}".format(submission.pk if "submissions" in path else run_id)
    with CaptureQueriesContext(connection) as before:
        visitor.get(url)
    fill()
    with django_assert_num_queries(len(before)):
        visitor.get(url)
