"""Who may do what, for every route and method. A route that is missing here fails a test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLResolver, get_resolver

from leaderboard.api.errors import Nowhere
from leaderboard.models import Submission, User, Visibility
from leaderboard.services.subscriptions import webhook_create
from protocols.contract import Phase
from protocols.states import BatchState
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    EditionFactory,
    EventFactory,
    GeneratorFactory,
    RunFactory,
    StepFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
)

ROLES = ("visitor", "stranger", "owner", "maintainer")


class World:
    """One of everything; what belongs to somebody belongs to ``owner``."""

    def __init__(self) -> None:
        self.people: dict[str, User | None] = {
            "visitor": None,
            "stranger": UserFactory(),
            "owner": UserFactory(),
            "maintainer": UserFactory(maintainer=True),
        }
        self.owner = self.people["owner"]
        self.benchmark = BenchmarkFactory()
        self.corpus = self.benchmark.corpus
        self.edition = EditionFactory(benchmark=self.benchmark, windows=1)
        self.shown = BatchFactory(corpus=self.corpus)
        self.announced = GeneratorFactory(corpus=self.corpus)
        self.hidden_batch = BatchFactory(
            corpus=self.corpus, generator=self.announced, state=BatchState.UPLOADING
        )
        self.sealed_batch = BatchFactory(corpus=self.corpus, state=BatchState.SEALED)
        self.public = self.submission()
        self.private = self.submission(visibility=Visibility.PRIVATE)
        self.draft = self.submission(draft=True)
        self.run = RunFactory(submission=self.public, edition=self.edition)
        self.private_run = RunFactory(submission=self.private, edition=self.edition)
        self.waiting_edition = EditionFactory(
            benchmark=self.benchmark,
            windows=1,
            number=self.edition.number + 1,
            opened_at=None,
            settled_at=None,
        )
        self.step = StepFactory(run=self.run, phase=Phase.TRAIN, log_tail="loss 0.1")
        self.private_step = StepFactory(run=self.private_run)
        self.upload = UploadFactory(owner=self.owner)
        self.event = EventFactory(submission=self.public)
        assert self.owner is not None
        self.webhook = webhook_create(owner=self.owner, url="https://example.org/hook", benchmark=None)

    def submission(self, **fields: Any) -> Submission:
        return SubmissionFactory(owner=self.owner, benchmark=self.benchmark, **fields)

    def upload_of(self, role: str) -> uuid.UUID:
        return UploadFactory(owner=self.people[role] or self.owner).pk


TUS = {"HTTP_TUS_RESUMABLE": "1.0.0", "HTTP_UPLOAD_LENGTH": "3", "HTTP_UPLOAD_OFFSET": "7"}
Body = Callable[[World, str], Any]


def nothing(world: World, role: str) -> None:
    return None


def upload(world: World, role: str) -> dict[str, str]:
    return {"upload": str(world.upload_of(role))}


# (method, route, address, body, status for visitor, stranger, owner, maintainer)
Case = tuple[str, str, Callable[[World], str], Body, tuple[int, int, int, int]]
READ = (200, 200, 200, 200)
MAINTAIN = (401, 403, 403, 201)
DESK = (401, 403, 403, 200)
CASES: list[Case] = [
    ("GET", "schema/", lambda w: "schema/", nothing, READ),
    ("POST", "tokens/", lambda w: "tokens/", lambda w, r: {"username": "x", "password": "y"}, (401,) * 4),
    ("DELETE", "tokens/current/", lambda w: "tokens/current/", nothing, (401, 204, 204, 204)),
    ("OPTIONS", "uploads/", lambda w: "uploads/", nothing, (204,) * 4),
    ("POST", "uploads/", lambda w: "uploads/", nothing, (401, 201, 201, 201)),
    ("OPTIONS", "uploads/<uuid:upload_id>", lambda w: f"uploads/{w.upload.pk}", nothing, (204,) * 4),
    ("HEAD", "uploads/<uuid:upload_id>", lambda w: f"uploads/{w.upload.pk}", nothing, (401, 404, 200, 404)),
    (
        "PATCH",
        "uploads/<uuid:upload_id>",
        lambda w: f"uploads/{w.upload.pk}",
        nothing,
        (401, 404, 204, 404),
    ),
    (
        "DELETE",
        "uploads/<uuid:upload_id>",
        lambda w: f"uploads/{w.upload.pk}",
        nothing,
        (401, 404, 204, 404),
    ),
    ("GET", "corpora/", lambda w: "corpora/", nothing, READ),
    ("POST", "corpora/", lambda w: "corpora/", lambda w, r: {"slug": "new", "name": "New"}, MAINTAIN),
    ("GET", "corpora/<slug:slug>/", lambda w: f"corpora/{w.corpus.slug}/", nothing, READ),
    ("GET", "generators/", lambda w: "generators/", nothing, READ),
    (
        "POST",
        "generators/",
        lambda w: "generators/",
        lambda w, r: {"corpus": w.corpus.slug, "slug": "new", "name": "New", "release_date": "2024-01-31"},
        MAINTAIN,
    ),
    (
        "GET",
        "generators/<slug:corpus>/<slug:slug>/",
        lambda w: f"generators/{w.corpus.slug}/{w.shown.generator.slug}/",
        nothing,
        READ,
    ),
    (
        "GET",
        "generators/<slug:corpus>/<slug:slug>/",
        lambda w: f"generators/{w.corpus.slug}/{w.announced.slug}/",
        nothing,
        (404, 404, 404, 200),
    ),
    (
        "POST",
        "generators/<slug:corpus>/<slug:slug>/withdraw/",
        lambda w: f"generators/{w.corpus.slug}/{w.shown.generator.slug}/withdraw/",
        lambda w, r: {"reason": "The licence was revoked."},
        (401, 403, 403, 200),
    ),
    (
        "POST",
        "generators/<slug:corpus>/<slug:slug>/release-date/",
        lambda w: f"generators/{w.corpus.slug}/{w.shown.generator.slug}/release-date/",
        lambda w, r: {"release_date": "2024-01-31", "reason": "A typing mistake."},
        (401, 403, 403, 200),
    ),
    ("GET", "batches/", lambda w: "batches/", nothing, READ),
    (
        "POST",
        "batches/",
        lambda w: "batches/",
        lambda w, r: {"corpus": w.corpus.slug, "generator": w.announced.slug},
        MAINTAIN,
    ),
    ("GET", "batches/<uuid:batch_id>/", lambda w: f"batches/{w.shown.pk}/", nothing, READ),
    (
        "GET",
        "batches/<uuid:batch_id>/",
        lambda w: f"batches/{w.hidden_batch.pk}/",
        nothing,
        (404, 404, 404, 200),
    ),
    (
        "POST",
        "batches/<uuid:batch_id>/submit/",
        lambda w: f"batches/{w.hidden_batch.pk}/submit/",
        upload,
        (401, 403, 403, 200),
    ),
    (
        "GET",
        "batches/<uuid:batch_id>/preview/",
        lambda w: f"batches/{w.sealed_batch.pk}/preview/",
        nothing,
        (401, 403, 403, 200),
    ),
    (
        "POST",
        "batches/<uuid:batch_id>/publish/",
        lambda w: f"batches/{w.sealed_batch.pk}/publish/",
        nothing,
        (401, 403, 403, 200),
    ),
    ("GET", "benchmarks/", lambda w: "benchmarks/", nothing, READ),
    (
        "POST",
        "benchmarks/",
        lambda w: "benchmarks/",
        lambda w, r: {"slug": "new", "name": "New", "corpus": w.corpus.slug},
        MAINTAIN,
    ),
    ("GET", "benchmarks/<slug:slug>/", lambda w: f"benchmarks/{w.benchmark.slug}/", nothing, READ),
    (
        "GET",
        "benchmarks/<slug:slug>/editions/",
        lambda w: f"benchmarks/{w.benchmark.slug}/editions/",
        nothing,
        READ,
    ),
    (
        "POST",
        "benchmarks/<slug:slug>/editions/",
        # Nothing is published there, so the service answers with an error of its own.
        lambda w: f"benchmarks/{BenchmarkFactory().slug}/editions/",
        nothing,
        (401, 403, 403, 409),
    ),
    (
        "GET",
        "benchmarks/<slug:slug>/editions/<int:number>/",
        lambda w: f"benchmarks/{w.benchmark.slug}/editions/{w.edition.number}/",
        nothing,
        READ,
    ),
    (
        "GET",
        "benchmarks/<slug:slug>/editions/preview/",
        lambda w: f"benchmarks/{BenchmarkFactory().slug}/editions/preview/",
        nothing,
        (401, 403, 403, 200),
    ),
    (
        "POST",
        "benchmarks/<slug:slug>/editions/<int:number>/approve/",
        lambda w: f"benchmarks/{w.benchmark.slug}/editions/{w.waiting_edition.number}/approve/",
        lambda w, r: {"budget_s": 3600},
        (401, 403, 403, 200),
    ),
    ("GET", "submissions/", lambda w: "submissions/", nothing, READ),
    (
        "POST",
        "submissions/",
        lambda w: "submissions/",
        lambda w, r: {"benchmark": w.benchmark.slug, "name": "new"},
        (401, 201, 201, 201),
    ),
    ("GET", "submissions/<uuid:submission_id>/", lambda w: f"submissions/{w.public.pk}/", nothing, READ),
    (
        "GET",
        "submissions/<uuid:submission_id>/",
        lambda w: f"submissions/{w.private.pk}/",
        nothing,
        (404, 404, 200, 200),
    ),
    (
        "POST",
        "submissions/<uuid:submission_id>/upload/",
        lambda w: f"submissions/{w.draft.pk}/upload/",
        upload,
        (401, 404, 200, 200),
    ),
    (
        "POST",
        "submissions/<uuid:submission_id>/cancel/",
        lambda w: f"submissions/{w.public.pk}/cancel/",
        nothing,
        (401, 403, 200, 200),
    ),
    ("GET", "runs/", lambda w: "runs/", nothing, READ),
    ("GET", "runs/<int:run_id>/", lambda w: f"runs/{w.run.pk}/", nothing, READ),
    ("GET", "runs/<int:run_id>/", lambda w: f"runs/{w.private_run.pk}/", nothing, (404, 404, 200, 200)),
    ("GET", "steps/<int:step_id>/", lambda w: f"steps/{w.step.pk}/", nothing, READ),
    ("GET", "steps/<int:step_id>/", lambda w: f"steps/{w.private_step.pk}/", nothing, (404, 404, 200, 200)),
    ("GET", "events/", lambda w: "events/", nothing, (401, 200, 200, 200)),
    ("GET", "desk/", lambda w: "desk/", nothing, DESK),
    ("GET", "desk/arrivals/", lambda w: "desk/arrivals/", nothing, DESK),
    ("GET", "desk/queue/", lambda w: "desk/queue/", nothing, DESK),
    ("GET", "desk/workers/", lambda w: "desk/workers/", nothing, DESK),
    ("GET", "desk/failures/", lambda w: "desk/failures/", nothing, DESK),
    ("GET", "desk/storage/", lambda w: "desk/storage/", nothing, DESK),
    ("GET", "desk/cost/", lambda w: "desk/cost/", nothing, DESK),
    ("GET", "desk/actions/", lambda w: "desk/actions/", nothing, DESK),
    (
        "GET",
        "benchmarks/<slug:slug>/leaderboard/",
        lambda w: f"benchmarks/{w.benchmark.slug}/leaderboard/",
        nothing,
        READ,
    ),
    (
        "GET",
        "benchmarks/<slug:slug>/first-contact/",
        lambda w: f"benchmarks/{w.benchmark.slug}/first-contact/",
        nothing,
        READ,
    ),
    ("GET", "detectors/<uuid:submission_id>/", lambda w: f"detectors/{w.public.pk}/", nothing, READ),
    (
        "GET",
        "detectors/<uuid:submission_id>/",
        lambda w: f"detectors/{w.private.pk}/",
        nothing,
        (404, 404, 200, 200),
    ),
    (
        "GET",
        "benchmarks/<slug:slug>/arrivals/",
        lambda w: f"benchmarks/{w.benchmark.slug}/arrivals/",
        nothing,
        READ,
    ),
    (
        "GET",
        "generators/<slug:corpus>/<slug:slug>/results/",
        lambda w: f"generators/{w.corpus.slug}/{w.shown.generator.slug}/results/",
        nothing,
        READ,
    ),
    (
        "GET",
        "generators/<slug:corpus>/<slug:slug>/results/",
        lambda w: f"generators/{w.corpus.slug}/{w.announced.slug}/results/",
        nothing,
        (404, 404, 404, 200),
    ),
    ("GET", "webhooks/", lambda w: "webhooks/", nothing, (401, 200, 200, 200)),
    (
        "POST",
        "webhooks/",
        lambda w: "webhooks/",
        lambda w, r: {"url": "https://example.org/new"},
        (401, 201, 201, 201),
    ),
    (
        "GET",
        "webhooks/<uuid:webhook_id>/",
        lambda w: f"webhooks/{w.webhook.pk}/",
        nothing,
        (401, 404, 200, 404),
    ),
    (
        "DELETE",
        "webhooks/<uuid:webhook_id>/",
        lambda w: f"webhooks/{w.webhook.pk}/",
        nothing,
        (401, 404, 204, 404),
    ),
    (
        "POST",
        "webhooks/<uuid:webhook_id>/ping/",
        lambda w: f"webhooks/{w.webhook.pk}/ping/",
        nothing,
        (401, 404, 202, 404),
    ),
    (
        "GET",
        "webhooks/<uuid:webhook_id>/deliveries/",
        lambda w: f"webhooks/{w.webhook.pk}/deliveries/",
        nothing,
        (401, 404, 200, 404),
    ),
]


@pytest.fixture
def world(db: None) -> World:
    return World()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]} {case[4][0]}")
def test_every_method_of_every_route_answers_each_role_as_listed(
    world: World, client_of: ClientOf, case: Case
) -> None:
    method, _, address, body, statuses = case
    path = f"/api/v1/{address(world)}"
    found = {}
    for role in ROLES:
        client = client_of(world.people[role])
        before = transaction.savepoint()
        data = body(world, role)
        answer = client.generic(
            method,
            path,
            b"" if data is None else json.dumps(data),
            content_type="application/offset+octet-stream" if "/uploads/" in path else "application/json",
            **TUS,
        )
        transaction.savepoint_rollback(before)
        found[role] = answer.status_code
    assert found == dict(zip(ROLES, statuses, strict=True))


def routes(resolver: URLResolver, prefix: str = "") -> set[tuple[str, str]]:
    """Every method of every route below a resolver."""
    found: set[tuple[str, str]] = set()
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= routes(pattern, route)
        elif pattern.callback.cls is not Nowhere:
            methods = set(pattern.callback.cls().allowed_methods) - {"HEAD", "OPTIONS"}
            found |= {(method, route) for method in methods}
    return found


def test_no_route_of_the_core_is_left_out() -> None:
    (api,) = [r for r in get_resolver().url_patterns if str(r.pattern) == "api/"]
    (core,) = [r for r in api.url_patterns if getattr(r, "namespace", None) == "api"]
    listed = {(method, route) for method, route, *_ in CASES}
    assert routes(core) - listed == set()
    assert {route for _, route in listed} == {route for _, route in routes(core)}
