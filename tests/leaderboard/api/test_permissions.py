"""Who may do what in the API: every address, every method, every role.

The table has what an address answers to those whom its gate lets in. All else follows from rules:

- A gate refuses before anything else is looked at, whether the method exists or not: 401 to nobody, 403
  to somebody who may not.
- ``HEAD`` is answered as ``GET``, ``OPTIONS`` with 200.
- A method that an address does not take is answered with 405.

A route that is missing here fails a test.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.urls import URLResolver, get_resolver
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from leaderboard.api.errors import Nowhere
from leaderboard.services.accounts import token_create
from tests.leaderboard.access import METHODS, ROLES, SAFE, Gate, Row, Statuses, World, by, undone
from tests.leaderboard.factories import BenchmarkFactory, UploadFactory

pytestmark = pytest.mark.django_db
TUS = {"HTTP_TUS_RESUMABLE": "1.0.0", "HTTP_UPLOAD_LENGTH": "3", "HTTP_UPLOAD_OFFSET": "7"}


def _signed_in(role: str, method: str) -> int | None:
    return 401 if role == "anonymous" else None


def _maintainers(role: str, method: str) -> int | None:
    return _signed_in(role, method) or (403 if role != "maintainer" else None)


OPEN = Gate("open", lambda role, method: None)
SIGNED_IN = Gate("signed in", _signed_in)
MAINTAINERS = Gate("maintainers", _maintainers)
READ_ALL_WRITE_SIGNED_IN = Gate(
    "all read, who is signed in writes",
    lambda role, method: None if method in SAFE else _signed_in(role, method),
)
READ_ALL_WRITE_MAINTAINERS = Gate(
    "all read, maintainers write", lambda role, method: None if method in SAFE else _maintainers(role, method)
)
OK = by(200)
GONE = by(204)
MADE = by(201)


def reads(route: str, gate: Gate, cell: Statuses = OK, *, note: str = "", **path: Any) -> Row:
    """An address that is for reading alone; ``path`` names where its parameters come from."""
    return Row(route, lambda w, r: fill(route, path, w), gate, {"GET": cell}, note=note)


def fill(route: str, path: dict[str, Any], world: World) -> str:
    """The address of a route, its parameters taken from the world."""
    for name, find in path.items():
        for kind in ("uuid", "slug", "str", "int"):
            route = route.replace(f"<{kind}:{name}>", str(find(world)))
    assert "<" not in route, route
    return route


def entry(suffix: str, method: str, which: str, cell: Statuses, body: Any = None, *, note: str = "") -> Row:
    """An action on one of the lab's entries."""
    return Row(
        f"submissions/<uuid:submission_id>/{suffix}",
        lambda w, r: f"submissions/{getattr(w, which).pk}/{suffix}",
        SIGNED_IN,
        {method: cell},
        body=(lambda w, r: body(w, r)) if body else (lambda w, r: None),
        note=note or which,
    )


def detail(which: str, seen: Statuses, ended: Statuses) -> Row:
    """One of the entries itself: seeing it, and deleting it."""
    return Row(
        "submissions/<uuid:submission_id>/",
        lambda w, r: f"submissions/{getattr(w, which).pk}/",
        READ_ALL_WRITE_SIGNED_IN,
        {"GET": seen, "DELETE": ended},
        note=which,
    )


def upload(world: World, role: str) -> dict[str, str]:
    return {"upload": str(world.upload_of(role))}


def quiet(world: World) -> None:
    """End the run of the public entry, which keeps it from being deleted."""
    world.public.runs.update(state="failed")


ALL_SEE = by(200)
LAB_SEES = by(404, lab=200, maintainer=200)
LAB_RUNS = by(403, lab=200, maintainer=200)
HIDDEN = by(404, lab=200, maintainer=200)
# Of what others can see they are told that they may not; of the rest, that it is not there.
ENDS_PUBLIC = by(403, author=200, owner=200, maintainer=200)
ENDS_HIDDEN = by(404, member=403, author=200, owner=200, maintainer=200)
FRESH = {"slug": lambda w: w.benchmark.slug}
CORPUS = {"slug": lambda w: w.corpus.slug}
SHOWN = {"corpus": lambda w: w.corpus.slug, "slug": lambda w: w.shown.generator.slug}
ANNOUNCED = {"corpus": lambda w: w.corpus.slug, "slug": lambda w: w.announced.slug}
LAB_TEAM = {"slug": lambda w: w.lab.slug}
GENERATOR = "generators/<slug:corpus>/<slug:slug>/"
BATCH = "batches/<uuid:batch_id>/"
TEAM = "teams/<slug:slug>/"


def maintains(route: str, cell: Statuses, body: Any, *, note: str = "", **path: Any) -> Row:
    """An address that maintainers alone write to, and nobody reads."""
    return Row(
        route,
        lambda w, r: fill(route, path, w),
        READ_ALL_WRITE_MAINTAINERS,
        {"POST": cell},
        body=lambda w, r: body(w, r) if callable(body) else body,
        note=note,
    )


def lists(route: str, body: Any) -> Row:
    """A list that everybody reads and maintainers add to."""
    return Row(
        route,
        lambda w, r: route,
        READ_ALL_WRITE_MAINTAINERS,
        {"GET": OK, "POST": MADE},
        body=lambda w, r: body(w) if callable(body) else body,
    )


def team(
    suffix: str,
    cells: dict[str, Statuses],
    *,
    body: Any = None,
    which: str = "lab",
    note: str = "",
    gate: Gate = SIGNED_IN,
    route: str = "",
) -> Row:
    """An address below a team's."""
    return Row(
        f"teams/<slug:slug>/{route or suffix}",
        lambda w, r: f"teams/{getattr(w, which).slug}/{suffix.format(w=w)}",
        gate,
        cells,
        body=lambda w, r: body,
        note=note or (which if which != "lab" else ""),
    )


WEBHOOK = "webhooks/<uuid:webhook_id>/"
OWN_WEBHOOK = by(404, author=200)
TABLE: list[Row] = [
    Row("schema/", lambda w, r: "schema/?format=json", OPEN, {"GET": OK}),
    # Tokens. A password opens them to anybody, and a wrong one to nobody. A token makes no other.
    Row(
        "tokens/",
        lambda w, r: "tokens/",
        SIGNED_IN,
        {"GET": OK, "POST": by(401), "DELETE": GONE},
        # Each a name of its own: wrong passwords of one are counted.
        body=lambda w, r: {"username": uuid.uuid4().hex, "password": "y"},
        open=("POST",),
        note="with a wrong password",
    ),
    Row(
        "tokens/",
        lambda w, r: "tokens/",
        SIGNED_IN,
        {"GET": OK, "POST": by(401), "DELETE": GONE},
        body=lambda w, r: {},
        open=("POST",),
        note="without one",
    ),
    Row("tokens/current/", lambda w, r: "tokens/current/", SIGNED_IN, {"DELETE": GONE}),
    Row(
        "tokens/<uuid:handle>/",
        lambda w, r: f"tokens/{w.token_of(r)}/",
        SIGNED_IN,
        {"DELETE": GONE},
        note="own",
    ),
    Row(
        "tokens/<uuid:handle>/",
        lambda w, r: f"tokens/{w.token_of('author')}/",
        SIGNED_IN,
        {"DELETE": by(404, author=204)},
        note="the author's",
    ),
    Row("me/", lambda w, r: "me/", SIGNED_IN, {"GET": OK}),
    # Uploads. They are their owner's alone; not even maintainers see others'.
    Row(
        "uploads/",
        lambda w, r: "uploads/",
        SIGNED_IN,
        {"GET": OK, "POST": MADE, "OPTIONS": GONE},
        open=("OPTIONS",),
    ),
    Row(
        "uploads/<uuid:upload_id>",
        lambda w, r: f"uploads/{w.upload_of('author')}",
        SIGNED_IN,
        {
            "HEAD": by(404, author=200),
            "PATCH": by(404, author=204),
            "DELETE": by(404, author=204),
            "OPTIONS": GONE,
        },
        open=("OPTIONS",),
        note="the author's",
    ),
    Row(
        "uploads/<uuid:upload_id>",
        lambda w, r: f"uploads/{w.upload_of('stranger')}",
        SIGNED_IN,
        {
            "HEAD": by(404, stranger=200),
            "PATCH": by(404, stranger=204),
            "DELETE": by(404, stranger=204),
            "OPTIONS": GONE,
        },
        open=("OPTIONS",),
        note="the stranger's",
    ),
    # Images.
    lists("corpora/", {"slug": "new", "name": "New"}),
    reads("corpora/<slug:slug>/", READ_ALL_WRITE_MAINTAINERS, **CORPUS),
    lists(
        "generators/",
        lambda w: {"corpus": w.corpus.slug, "slug": "new", "name": "New", "release_date": "2024-01-31"},
    ),
    reads(GENERATOR, READ_ALL_WRITE_MAINTAINERS, note="shown", **SHOWN),
    reads(GENERATOR, READ_ALL_WRITE_MAINTAINERS, by(404, maintainer=200), note="announced", **ANNOUNCED),
    maintains(f"{GENERATOR}withdraw/", OK, {"reason": "The licence was revoked."}, **SHOWN),
    maintains(
        f"{GENERATOR}release-date/", OK, {"release_date": "2017-01-31", "reason": "A mistake."}, **SHOWN
    ),
    reads(f"{GENERATOR}results/", READ_ALL_WRITE_SIGNED_IN, note="shown", **SHOWN),
    reads(
        f"{GENERATOR}results/",
        READ_ALL_WRITE_SIGNED_IN,
        by(404, maintainer=200),
        note="announced",
        **ANNOUNCED,
    ),
    lists("batches/", lambda w: {"corpus": w.corpus.slug, "generator": w.announced.slug}),
    reads(BATCH, READ_ALL_WRITE_MAINTAINERS, note="published", batch_id=lambda w: w.shown.pk),
    reads(
        BATCH,
        READ_ALL_WRITE_MAINTAINERS,
        by(404, maintainer=200),
        note="uploading",
        batch_id=lambda w: w.hidden_batch.pk,
    ),
    maintains(f"{BATCH}submit/", OK, upload, batch_id=lambda w: w.hidden_batch.pk),
    reads(f"{BATCH}preview/", MAINTAINERS, batch_id=lambda w: w.sealed_batch.pk),
    maintains(f"{BATCH}publish/", OK, None, batch_id=lambda w: w.sealed_batch.pk),
    # Benchmarks and what is read of them.
    lists("benchmarks/", lambda w: {"slug": "new", "name": "New", "corpus": w.corpus.slug}),
    reads("benchmarks/<slug:slug>/", READ_ALL_WRITE_MAINTAINERS, **FRESH),
    Row(
        "benchmarks/<slug:slug>/editions/",
        # Nothing is published there, so the service answers with an error of its own.
        lambda w, r: f"benchmarks/{BenchmarkFactory().slug}/editions/",
        READ_ALL_WRITE_MAINTAINERS,
        {"GET": OK, "POST": by(409)},
    ),
    reads("benchmarks/<slug:slug>/editions/preview/", MAINTAINERS, slug=lambda w: BenchmarkFactory().slug),
    reads(
        "benchmarks/<slug:slug>/editions/<int:number>/",
        READ_ALL_WRITE_MAINTAINERS,
        **FRESH,
        number=lambda w: w.edition.number,
    ),
    maintains(
        "benchmarks/<slug:slug>/editions/<int:number>/approve/",
        OK,
        {"budget_s": 3600},
        **FRESH,
        number=lambda w: w.waiting_edition.number,
    ),
    reads("benchmarks/<slug:slug>/leaderboard/", READ_ALL_WRITE_SIGNED_IN, **FRESH),
    reads("benchmarks/<slug:slug>/first-contact/", READ_ALL_WRITE_SIGNED_IN, **FRESH),
    *(
        Row(
            "benchmarks/<slug:slug>/compare/",
            lambda w, r, which=which: (
                f"benchmarks/{w.benchmark.slug}/compare/?d={w.public.pk}&d={getattr(w, which).pk}"
            ),
            READ_ALL_WRITE_SIGNED_IN,
            {"GET": cell},
            note=which,
        )
        for which, cell in [
            ("failed", ALL_SEE),
            ("private", LAB_SEES),
            ("foreign", by(404, stranger=200, maintainer=200)),
            ("draft", by(404)),
        ]
    ),
    reads("benchmarks/<slug:slug>/arrivals/", READ_ALL_WRITE_SIGNED_IN, **FRESH),
    *(
        reads(
            "detectors/<uuid:submission_id>/",
            READ_ALL_WRITE_SIGNED_IN,
            cell,
            note=which,
            submission_id=lambda w, which=which: getattr(w, which).pk,
        )
        for which, cell in [
            ("public", ALL_SEE),
            ("private", LAB_SEES),
            ("withdrawn", ALL_SEE),
            ("draft", by(404)),
            ("rejected", by(404)),
            ("foreign", by(404, stranger=200, maintainer=200)),
        ]
    ),
    # Entries.
    Row(
        "submissions/",
        lambda w, r: "submissions/",
        READ_ALL_WRITE_SIGNED_IN,
        {"GET": OK, "POST": MADE},
        body=lambda w, r: {"benchmark": w.benchmark.slug, "name": "new"},
        note="alone",
    ),
    Row(
        "submissions/",
        lambda w, r: "submissions/",
        READ_ALL_WRITE_SIGNED_IN,
        # For a team that the caller is not in: not even a maintainer enters for others.
        {"GET": OK, "POST": by(400, lab=201)},
        body=lambda w, r: {"benchmark": w.benchmark.slug, "name": "new", "team": "lab"},
        note="for the lab",
    ),
    detail("public", ALL_SEE, by(403, author=409, owner=409, maintainer=409)),
    detail("failed", ALL_SEE, by(403, author=204, owner=204, maintainer=204)),
    detail("withdrawn", ALL_SEE, by(403, author=204, owner=204, maintainer=204)),
    detail("private", LAB_SEES, by(404, member=403, author=409, owner=409, maintainer=409)),
    detail("draft", LAB_SEES, by(404, member=403, author=204, owner=204, maintainer=204)),
    detail("rejected", LAB_SEES, by(404, member=403, author=204, owner=204, maintainer=204)),
    detail("taken_back", LAB_SEES, by(404, member=403, author=204, owner=204, maintainer=204)),
    detail("foreign", by(404, stranger=200, maintainer=200), by(404, stranger=204, maintainer=204)),
    entry("upload/", "POST", "draft", HIDDEN, upload),
    entry("upload/", "POST", "public", by(403, lab=409, maintainer=409), upload),
    entry(
        "upload/",
        "POST",
        "draft",
        by(404, lab=400, maintainer=400),
        lambda w, r: {"upload": str(UploadFactory(owner=w.closed).pk)},
        note="somebody else's upload",
    ),
    entry("cancel/", "POST", "public", LAB_RUNS),
    entry("cancel/", "POST", "private", HIDDEN),
    entry("cancel/", "POST", "draft", HIDDEN),
    entry("retry/", "POST", "failed", LAB_RUNS),
    entry("retry/", "POST", "rejected", HIDDEN),
    entry("retry/", "POST", "public", by(403, lab=409, maintainer=409)),
    entry("runs/", "POST", "public", by(403, lab=201, maintainer=201), lambda w, r: {"seed": 1}),
    entry("runs/", "POST", "private", by(404, lab=201, maintainer=201), lambda w, r: {"seed": 1}),
    entry("runs/", "POST", "failed", by(403, lab=409, maintainer=409), lambda w, r: {"seed": 1}),
    entry("runs/", "POST", "draft", by(404, lab=409, maintainer=409), lambda w, r: {"seed": 1}),
    entry("runs/", "POST", "withdrawn", by(403, lab=409, maintainer=409), lambda w, r: {"seed": 1}),
    entry("withdraw/", "POST", "public", ENDS_PUBLIC, lambda w, r: {"reason": "A mistake."}),
    entry("withdraw/", "POST", "private", ENDS_HIDDEN),
    entry("withdraw/", "POST", "draft", ENDS_HIDDEN),
    entry("withdraw/", "POST", "withdrawn", by(403, author=409, owner=409, maintainer=409)),
    entry("trial/", "GET", "public", LAB_RUNS),
    entry("trial/", "GET", "private", HIDDEN),
    entry("trial/", "GET", "foreign", by(404, stranger=200, maintainer=200)),
    reads("runs/", READ_ALL_WRITE_SIGNED_IN),
    reads("runs/<int:run_id>/", READ_ALL_WRITE_SIGNED_IN, note="public", run_id=lambda w: w.run.pk),
    reads(
        "runs/<int:run_id>/",
        READ_ALL_WRITE_SIGNED_IN,
        LAB_SEES,
        note="private",
        run_id=lambda w: w.private_run.pk,
    ),
    reads("steps/<int:step_id>/", READ_ALL_WRITE_SIGNED_IN, note="public", step_id=lambda w: w.step.pk),
    reads(
        "steps/<int:step_id>/",
        READ_ALL_WRITE_SIGNED_IN,
        LAB_SEES,
        note="private",
        step_id=lambda w: w.private_step.pk,
    ),
    reads("events/", SIGNED_IN),
    # Teams.
    Row(
        "teams/",
        lambda w, r: "teams/",
        SIGNED_IN,
        {"GET": OK, "POST": MADE},
        body=lambda w, r: {"slug": "new-team", "name": "New"},
    ),
    team(
        "",
        {
            "GET": LAB_SEES,
            "PATCH": by(404, lab=403, owner=200, maintainer=200),
            "DELETE": by(404, lab=403, owner=409, maintainer=409),
        },
        body={"name": "Another"},
    ),
    team(
        "",
        {
            "GET": LAB_SEES,
            "PATCH": by(404, lab=403, owner=200, maintainer=200),
            "DELETE": by(404, lab=403, owner=204, maintainer=204),
        },
        body={"name": "Another"},
        which="empty",
    ),
    team("quotas/", {"PATCH": OK}, body={"active_runs": 3}, gate=MAINTAINERS),
    team("members/", {"GET": LAB_SEES}),
    team(
        "members/{w.member.username}/",
        route="members/<str:username>/",
        note="the member",
        cells={
            "GET": LAB_SEES,
            "PATCH": by(404, lab=403, owner=200, maintainer=200),
            # Everybody may leave; owners and maintainers remove others.
            "DELETE": by(404, author=403, member=204, owner=204, maintainer=204),
        },
        body={"role": "owner"},
    ),
    team(
        "members/{w.owner.username}/",
        route="members/<str:username>/",
        note="the only owner",
        cells={
            "GET": LAB_SEES,
            "PATCH": by(404, lab=403, owner=409, maintainer=409),
            "DELETE": by(404, lab=403, owner=409, maintainer=409),
        },
        body={"role": "member"},
    ),
    team(
        "members/{w.stranger.username}/",
        route="members/<str:username>/",
        note="no member",
        cells={"GET": by(404), "PATCH": by(404, member=403, author=403), "DELETE": by(404)},
        body={"role": "member"},
    ),
    team(
        "invitations/",
        {
            "GET": by(404, lab=403, owner=200, maintainer=200),
            "POST": by(404, lab=403, owner=201, maintainer=201),
        },
        body={"email": "n@example.org"},
    ),
    team(
        "invitations/{w.invitation.pk}/",
        route="invitations/<uuid:invitation_id>/",
        cells={
            "GET": by(404, lab=403, owner=200, maintainer=200),
            "DELETE": by(404, lab=403, owner=204, maintainer=204),
        },
    ),
    team(
        "invitations/{w.invitation.pk}/",
        route="invitations/<uuid:invitation_id>/",
        which="empty",
        note="of another team",
        cells={"GET": by(404, member=403, author=403), "DELETE": by(404, member=403, author=403)},
    ),
    team(
        "invitations/{w.invitation.pk}/resend/",
        route="invitations/<uuid:invitation_id>/resend/",
        cells={"POST": by(404, lab=403, owner=200, maintainer=200)},
    ),
    Row(
        "invitations/<str:key>/accept/",
        lambda w, r: f"invitations/{w.invitation_key}/accept/",
        SIGNED_IN,
        {"POST": by(200, lab=409)},
        note="with the key",
    ),
    Row(
        "invitations/<str:key>/accept/",
        lambda w, r: f"invitations/{w.invitation.pk}/accept/",
        SIGNED_IN,
        {"POST": by(404)},
        note="with the id alone",
    ),
    Row(
        "accounts/<str:username>/close/",
        lambda w, r: f"accounts/{w.member.username}/close/",
        MAINTAINERS,
        {"POST": OK},
    ),
    Row(
        "accounts/<str:username>/reopen/",
        lambda w, r: f"accounts/{w.closed.username}/reopen/",
        MAINTAINERS,
        {"POST": OK},
    ),
    # Webhooks. They are their owner's alone: an address may hold a secret.
    Row(
        "webhooks/",
        lambda w, r: "webhooks/",
        SIGNED_IN,
        {"GET": OK, "POST": MADE},
        body=lambda w, r: {"url": "https://example.org/new"},
    ),
    Row(
        WEBHOOK,
        lambda w, r: f"webhooks/{w.webhook.pk}/",
        SIGNED_IN,
        {"GET": OWN_WEBHOOK, "DELETE": by(404, author=204)},
    ),
    Row(
        f"{WEBHOOK}ping/",
        lambda w, r: f"webhooks/{w.webhook.pk}/ping/",
        SIGNED_IN,
        {"POST": by(404, author=202)},
    ),
    Row(
        f"{WEBHOOK}deliveries/",
        lambda w, r: f"webhooks/{w.webhook.pk}/deliveries/",
        SIGNED_IN,
        {"GET": OWN_WEBHOOK},
    ),
    # The desk.
    *(
        reads(f"desk/{part}", MAINTAINERS)
        for part in ("", "arrivals/", "queue/", "workers/", "failures/", "storage/", "cost/", "actions/")
    ),
]


def expected(row: Row, method: str, role: str) -> int:
    refusal = None if method in row.open else row.gate.refuses(role, method)
    if refusal is not None:
        return refusal
    if method in row.cells:
        return row.cells[method][role]
    if method == "HEAD" and "GET" in row.cells:
        return row.cells["GET"][role]
    return 200 if method == "OPTIONS" else 405


@pytest.fixture(scope="module")
def callers(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[World, dict[str, APIClient]]]:
    """The world, and a client of each role. What a request does is undone after it."""
    from datetime import timedelta

    with django_db_blocker.unblock(), transaction.atomic():
        world = World()
        clients = {}
        for role in ROLES:
            user, clients[role] = world.people[role], APIClient()
            if user is not None:
                token = token_create(user, ttl=timedelta(hours=1)).token
                clients[role].credentials(HTTP_AUTHORIZATION=f"Token {token}")
        yield world, clients
        transaction.set_rollback(True)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_method_of_every_address_answers_each_role_as_the_table_says(
    callers: tuple[World, dict[str, APIClient]], row: Row
) -> None:
    world, clients = callers
    cache.clear()
    found, wanted = {}, {}
    for method in METHODS:
        for role in ROLES:
            with undone():
                path = f"/api/v1/{row.address(world, role)}"
                data = row.body(world, role)
                answer = clients[role].generic(
                    method,
                    path,
                    b"" if data is None else json.dumps(data),
                    content_type="application/offset+octet-stream"
                    if "/uploads/" in path
                    else "application/json",
                    **TUS,
                )
            found[method, role] = answer.status_code
            wanted[method, role] = expected(row, method, role)
            assert "RateLimit" in answer, "an answer without what is left of the limits"
    wrong = {cell: (found[cell], status) for cell, status in wanted.items() if found[cell] != status}
    assert wrong == {}, "found and wanted"


def test_the_table_is_whole(record_property: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints its size with ``-rP``."""
    listed = {(method, row.route) for row in TABLE for method in row.cells}
    core = routes(api_core())
    assert core - listed == set(), "missing in the table"
    assert {route for _, route in listed} == {route for _, route in core}
    cells = len(TABLE) * len(ROLES) * len(METHODS)
    record_property("cells", cells)
    print(f"{len({row.route for row in TABLE})} routes, {len(TABLE)} addresses, {cells} cells")


def api_core() -> URLResolver:
    (api,) = [r for r in get_resolver().url_patterns if str(r.pattern) == "api/"]
    (core,) = [r for r in api.url_patterns if getattr(r, "namespace", None) == "api"]
    return core


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
