"""Who may do what on the pages: every address, every method, every role.

The table has what a page answers to those whom its gate lets in. All else follows from rules:

- A page that is not open sends nobody's visitor to sign in (302 to ``/login/``), and answers 403 to
  somebody who may not come in.
- The desk and open pages look at the method first: one that a page does not take is answered with 405,
  whoever asks. Pages for who is signed in look at who asks first.
- ``HEAD`` is answered as ``GET``. No page takes ``OPTIONS``, ``PUT``, ``PATCH`` or ``DELETE``.

A route that is missing here fails a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from pytest_django import DjangoDbBlocker

from leaderboard.models import Subscription
from leaderboard.services.boards import board_refresh
from tests.leaderboard.access import METHODS, ROLES, Gate, Row, Statuses, World, by, undone

pytestmark = pytest.mark.django_db


def _signed_in(role: str, method: str) -> int | None:
    return 302 if role == "anonymous" else None


def _maintainers(role: str, method: str) -> int | None:
    return _signed_in(role, method) or (403 if role != "maintainer" else None)


OPEN = Gate("open", lambda role, method: None)
SIGNED_IN = Gate("signed in", _signed_in)
DESK = Gate("desk", _maintainers)
METHOD_FIRST = (OPEN, DESK)
OK = by(200)
# What was done is shown by another page.
DONE = by(302)
HOME = by(302, anonymous=200)
AGAIN = by(200, anonymous=302)
LAB_SEES = by(404, lab=200, maintainer=200)
LAB_DOES = by(404, lab=302, maintainer=302)
OWNER_DOES = by(404, lab=403, owner=302, maintainer=302)


def page(
    route: str,
    gate: Gate,
    get: Statuses | None = OK,
    post: Statuses | None = None,
    *,
    at: Callable[[World, str], str] | str = "",
    body: dict[str, str] | None = None,
    note: str = "",
) -> Row:
    address = at if callable(at) else (lambda w, r: at or route)
    cells = {method: cell for method, cell in (("GET", get), ("POST", post)) if cell is not None}
    return Row(
        route,
        address,
        gate,
        cells,
        body=lambda w, r: {name: text.format(role=r) for name, text in (body or {}).items()},
        note=note,
    )


def entry(suffix: str, which: str, cell: Statuses) -> Row:
    """A button of one of the lab's entries."""
    return page(
        f"submissions/<uuid:submission_id>/{suffix}",
        SIGNED_IN,
        None,
        cell,
        at=lambda w, r: f"submissions/{getattr(w, which).pk}/{suffix}",
        note=which,
    )


def team(
    suffix: str, cell: Statuses, body: dict[str, str] | None = None, *, route: str = "", **kw: Any
) -> Row:
    """A button on a team's page."""
    which = kw.get("which", "lab")
    return page(
        f"teams/<slug:slug>/{route or suffix}",
        SIGNED_IN,
        None,
        cell,
        at=lambda w, r: f"teams/{getattr(w, which).slug}/{suffix.format(w=w)}",
        body=body,
        note=kw.get("note", ""),
    )


def desk(suffix: str, get: Statuses | None = OK, post: Statuses | None = None, **kw: Any) -> Row:
    return page(f"desk/{kw.pop('route', suffix)}", DESK, get, post, at=kw.pop("at", f"desk/{suffix}"), **kw)


def token_of(world: World, kind: str) -> str:
    return Subscription.objects.filter(channel="email").get().token


BENCHMARK = "b/<slug:slug>/"
GENERATOR = "desk/generators/<slug:corpus>/<slug:slug>/"
INVITED = "teams/<slug:slug>/invitations/<uuid:invitation_id>/"


def seen(route: str, prefix: str, which: str, cell: Statuses) -> Row:
    return page(route, OPEN, cell, at=lambda w, r: f"{prefix}/{getattr(w, which).pk}/", note=which)


ENTRY, DETECTOR = "submissions/<uuid:submission_id>/", "detectors/<uuid:submission_id>/"
FOREIGN = by(404, stranger=200, maintainer=200)
TABLE: list[Row] = [
    # For everybody.
    page("health/live", OPEN),
    page("health/ready", OPEN),
    page("metrics", OPEN),
    page("", OPEN),
    page(BENCHMARK, OPEN, at=lambda w, r: f"b/{w.benchmark.slug}/"),
    page(f"{BENCHMARK}first-contact/", OPEN, at=lambda w, r: f"b/{w.benchmark.slug}/first-contact/"),
    *(
        page(
            f"{BENCHMARK}compare/",
            OPEN,
            cell,
            at=lambda w, r, which=which: (
                f"b/{w.benchmark.slug}/compare/?d={w.public.pk}&d={getattr(w, which).pk}"
            ),
            note=which,
        )
        for which, cell in [("failed", OK), ("private", LAB_SEES), ("foreign", FOREIGN), ("draft", by(404))]
    ),
    page(f"{BENCHMARK}trends/", OPEN, at=lambda w, r: f"b/{w.benchmark.slug}/trends/"),
    page(f"{BENCHMARK}arrivals/", OPEN, at=lambda w, r: f"b/{w.benchmark.slug}/arrivals/"),
    page(f"{BENCHMARK}arrivals.atom", OPEN, at=lambda w, r: f"b/{w.benchmark.slug}/arrivals.atom"),
    page(
        f"{BENCHMARK}news/",
        OPEN,
        OK,
        OK,
        at=lambda w, r: f"b/{w.benchmark.slug}/news/",
        body={"address": "r@example.org"},
    ),
    page("c/<slug:slug>/generators/", OPEN, at=lambda w, r: f"c/{w.corpus.slug}/generators/"),
    page(
        "c/<slug:corpus>/generators/<slug:slug>/",
        OPEN,
        at=lambda w, r: f"c/{w.corpus.slug}/generators/{w.shown.generator.slug}/",
        note="shown",
    ),
    page(
        "c/<slug:corpus>/generators/<slug:slug>/",
        OPEN,
        by(404, maintainer=200),
        at=lambda w, r: f"c/{w.corpus.slug}/generators/{w.announced.slug}/",
        note="announced",
    ),
    page(
        "c/<slug:corpus>/generators/<slug:slug>/samples/<str:key>",
        OPEN,
        by(404),
        at=lambda w, r: f"c/{w.corpus.slug}/generators/{w.shown.generator.slug}/samples/{'0' * 64}",
    ),
    # What goes out of the site. A board is there, and the entries on it have no result but the failed run.
    page("picture.png", OPEN),
    *(
        page(f"{BENCHMARK}{part}", OPEN, at=lambda w, r, part=part: f"b/{w.benchmark.slug}/{part}")
        for part in ("embed/", "cite.bib", "picture.png")
    ),
    *(
        page(
            f"{BENCHMARK}{table}.<suffix:suffix>",
            OPEN,
            at=lambda w, r, table=table: f"b/{w.benchmark.slug}/{table}.csv",
        )
        for table in ("leaderboard", "first-contact")
    ),
    page(
        f"{BENCHMARK}compare.<suffix:suffix>",
        OPEN,
        at=lambda w, r: f"b/{w.benchmark.slug}/compare.csv?d={w.public.pk}&d={w.failed.pk}",
    ),
    page(
        f"{BENCHMARK}compare.<suffix:suffix>",
        OPEN,
        LAB_SEES,
        at=lambda w, r: f"b/{w.benchmark.slug}/compare.csv?d={w.public.pk}&d={w.private.pk}",
        note="private",
    ),
    page(
        f"{BENCHMARK}generators/<slug:generator>.<suffix:suffix>",
        OPEN,
        by(404),
        at=lambda w, r: f"b/{w.benchmark.slug}/generators/{w.announced.slug}.csv",
        note="announced",
    ),
    *(
        page(
            "c/<slug:corpus>/generators/<slug:slug>/picture.png",
            OPEN,
            cell,
            at=lambda w, r, which=which: f"c/{w.corpus.slug}/generators/{which(w).slug}/picture.png",
            note=note,
        )
        for note, which, cell in [
            ("shown", lambda w: w.shown.generator, OK),
            ("announced", lambda w: w.announced, by(404, maintainer=200)),
        ]
    ),
    *(
        page(
            f"{DETECTOR}{part}",
            OPEN,
            cell,
            at=lambda w, r, which=which, part=part: f"detectors/{getattr(w, which).pk}/{part}",
            note=which,
        )
        for part in ("badge.svg", "embed/", "cite.bib", "picture.png")
        for which, cell in [
            ("public", OK),
            ("private", LAB_SEES),
            ("foreign", FOREIGN),
            ("draft", by(404)),
            ("withdrawn", OK),
        ]
    ),
    *(
        page(
            f"{DETECTOR}{table}.<suffix:suffix>",
            OPEN,
            cell,
            at=lambda w, r, which=which, table=table: f"detectors/{getattr(w, which).pk}/{table}.csv",
            note=which,
        )
        for table, seen in (("matrix", OK), ("periods", OK), ("scores", by(403)))
        for which, cell in [
            ("failed", seen),
            ("hidden", by(404, lab=seen["owner"], maintainer=seen["owner"])),
        ]
    ),
    page("news/<str:token>/confirm/", OPEN, OK, OK, at=lambda w, r: f"news/{token_of(w, 'email')}/confirm/"),
    page(
        "news/<str:token>/unsubscribe/",
        OPEN,
        OK,
        OK,
        at=lambda w, r: f"news/{token_of(w, 'email')}/unsubscribe/",
    ),
    page("news/<str:token>/confirm/", OPEN, by(404), by(404), at="news/guess/confirm/", note="guessed"),
    page(
        "news/<str:token>/unsubscribe/", OPEN, by(404), by(404), at="news/guess/unsubscribe/", note="guessed"
    ),
    page("theme/", OPEN, None, DONE, body={"theme": "dark"}),
    *(
        seen(ENTRY, "submissions", which, cell)
        for which, cell in [
            ("public", OK),
            ("withdrawn", OK),
            ("private", LAB_SEES),
            ("draft", LAB_SEES),
            ("rejected", LAB_SEES),
            ("taken_back", LAB_SEES),
            ("foreign", FOREIGN),
        ]
    ),
    *(
        seen(DETECTOR, "detectors", which, cell)
        for which, cell in [
            ("public", OK),
            ("withdrawn", OK),
            ("private", LAB_SEES),
            ("draft", by(404)),
            ("rejected", by(404)),
            ("foreign", FOREIGN),
        ]
    ),
    # Signing up and in. Whoever is signed in has nothing to do there.
    page("login/", OPEN, HOME, HOME, body={"login": "x", "password": "y"}),
    page("logout/", OPEN, by(200, anonymous=302), DONE),
    page("signup/", OPEN, HOME, HOME, body={"username": "!", "email": "no", "password1": "x"}),
    page("signup/sent/", OPEN),
    page(r"^signup/confirm/(?P<key>[-:\w]+)/$", OPEN, OK, by(404), at="signup/confirm/guess/"),
    page("password/reset/", OPEN, OK, DONE, body={"email": "{role}@example.org"}),
    page("password/reset/sent/", OPEN),
    page(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$",
        OPEN,
        OK,
        OK,
        at="password/reset/key/1-guess/",
    ),
    page("password/reset/done/", OPEN),
    page("account/closed/", OPEN),
    page(
        "invitations/<str:key>/",
        OPEN,
        OK,
        by(302, lab=409),
        at=lambda w, r: f"invitations/{w.invitation_key}/",
        note="with the key",
    ),
    page(
        "invitations/<str:key>/",
        OPEN,
        by(404),
        by(404),
        at=lambda w, r: f"invitations/{w.invitation.pk}/",
        note="with the id alone",
    ),
    # One's own.
    page("account/", SIGNED_IN),
    page("account/email/", SIGNED_IN, OK, OK, body={"action_add": "1", "email": "no address"}),
    page("account/password/", SIGNED_IN, OK, OK, body={"oldpassword": "wrong"}),
    page("account/password/set/", SIGNED_IN, DONE, DONE),
    page("account/again/", SIGNED_IN, OK, OK, body={"password": "wrong"}),
    page("account/tokens/", SIGNED_IN, OK, by(201), body={"name": "laptop", "days": "30"}),
    page("account/tokens/revoke/", SIGNED_IN, None, DONE),
    page(
        "account/tokens/<uuid:handle>/revoke/",
        SIGNED_IN,
        None,
        DONE,
        at=lambda w, r: f"account/tokens/{w.token_of(r)}/revoke/",
        note="own",
    ),
    page(
        "account/tokens/<uuid:handle>/revoke/",
        SIGNED_IN,
        None,
        by(404, author=302),
        at=lambda w, r: f"account/tokens/{w.token_of('author')}/revoke/",
        note="the author's",
    ),
    page("notifications/", SIGNED_IN, OK, DONE, body={"mail": "on"}),
    page("webhooks/", SIGNED_IN, OK, by(201), body={"url": "https://example.org/new"}),
    page(
        "webhooks/<uuid:webhook_id>/",
        SIGNED_IN,
        by(404, author=200),
        at=lambda w, r: f"webhooks/{w.webhook.pk}/",
    ),
    page(
        "webhooks/<uuid:webhook_id>/ping/",
        SIGNED_IN,
        None,
        by(404, author=302),
        at=lambda w, r: f"webhooks/{w.webhook.pk}/ping/",
    ),
    page(
        "webhooks/<uuid:webhook_id>/delete/",
        SIGNED_IN,
        None,
        by(404, author=302),
        at=lambda w, r: f"webhooks/{w.webhook.pk}/delete/",
    ),
    # Entries.
    page("submissions/", SIGNED_IN),
    page("enter/", SIGNED_IN, OK, by(400), note="with an empty form"),
    page(
        "enter/<uuid:submission_id>/",
        SIGNED_IN,
        LAB_SEES,
        at=lambda w, r: f"enter/{w.draft.pk}/",
        note="draft",
    ),
    page(
        "enter/<uuid:submission_id>/",
        SIGNED_IN,
        by(403, lab=302, maintainer=302),
        at=lambda w, r: f"enter/{w.public.pk}/",
        note="public",
    ),
    entry("cancel/", "public", by(403, lab=302, maintainer=302)),
    entry("cancel/", "private", LAB_DOES),
    entry("cancel/", "foreign", by(404, stranger=302, maintainer=302)),
    entry("retry/", "failed", by(403, lab=302, maintainer=302)),
    entry("retry/", "rejected", LAB_DOES),
    entry("seed/", "public", by(403, lab=302, maintainer=302)),
    entry("seed/", "private", LAB_DOES),
    entry("seed/", "foreign", by(404, stranger=302, maintainer=302)),
    entry("withdraw/", "public", by(403, author=302, owner=302, maintainer=302)),
    entry("withdraw/", "private", by(404, member=403, author=302, owner=302, maintainer=302)),
    entry("delete/", "failed", by(403, author=302, owner=302, maintainer=302)),
    entry("delete/", "draft", by(404, member=403, author=302, owner=302, maintainer=302)),
    # Teams.
    page("teams/", SIGNED_IN, OK, DONE, body={"slug": "new-team", "name": "New"}),
    page("teams/<slug:slug>/", SIGNED_IN, LAB_SEES, at="teams/lab/"),
    team("rename/", OWNER_DOES, {"name": "Another"}),
    team("delete/", OWNER_DOES),
    team("delete/", OWNER_DOES, which="empty", note="empty"),
    team("invite/", OWNER_DOES, {"email": "n@example.org"}),
    team(
        "invitations/{w.invitation.pk}/resend/", OWNER_DOES, route="invitations/<uuid:invitation_id>/resend/"
    ),
    team(
        "invitations/{w.invitation.pk}/revoke/", OWNER_DOES, route="invitations/<uuid:invitation_id>/revoke/"
    ),
    team(
        "invitations/{w.invitation.pk}/revoke/",
        by(404, member=403, author=403),
        which="empty",
        route="invitations/<uuid:invitation_id>/revoke/",
        note="of another team",
    ),
    team(
        "members/{w.member.username}/role/",
        OWNER_DOES,
        {"role": "owner"},
        route="members/<str:username>/role/",
    ),
    team(
        "members/{w.member.username}/remove/",
        by(404, author=403, member=302, owner=302, maintainer=302),
        route="members/<str:username>/remove/",
    ),
    # The desk.
    *(
        desk(part)
        for part in (
            "",
            "arrivals/",
            "queue/",
            "workers/",
            "failures/",
            "storage/",
            "cost/",
            "cost.csv",
            "log/",
            "batches/",
            "teams/",
        )
    ),
    desk(
        "editions/",
        None,
        DONE,
        route="editions/<int:edition_id>/approve/",
        at=lambda w, r: f"desk/editions/{w.waiting_edition.pk}/approve/",
    ),
    desk(
        "cut/",
        OK,
        DONE,
        route="benchmarks/<slug:slug>/cut/",
        at=lambda w, r: f"desk/benchmarks/{w.benchmark.slug}/cut/",
    ),
    desk("free/", None, DONE, route="storage/<str:kind>/free/", at="desk/storage/uploads/free/"),
    desk(
        "free/",
        None,
        by(404),
        route="storage/<str:kind>/free/",
        at="desk/storage/things/free/",
        note="no kind",
    ),
    desk("batches/new/", OK, OK),
    desk("batch/", OK, None, route="batches/<uuid:batch_id>/", at=lambda w, r: f"desk/batches/{w.shown.pk}/"),
    desk(
        "submit/",
        None,
        by(302),
        route="batches/<uuid:batch_id>/submit/",
        at=lambda w, r: f"desk/batches/{w.hidden_batch.pk}/submit/",
    ),
    desk(
        "sheet/",
        by(404),
        None,
        route="batches/<uuid:batch_id>/contact-sheet/",
        at=lambda w, r: f"desk/batches/{w.shown.pk}/contact-sheet/",
    ),
    desk(
        "publish/",
        OK,
        DONE,
        route="batches/<uuid:batch_id>/publish/",
        at=lambda w, r: f"desk/batches/{w.sealed_batch.pk}/publish/",
    ),
    page(GENERATOR, DESK, at=lambda w, r: f"desk/generators/{w.corpus.slug}/{w.shown.generator.slug}/"),
    *(
        page(
            f"{GENERATOR}{part}/",
            DESK,
            None,
            cell,
            body=body,
            at=lambda w, r, part=part: f"desk/generators/{w.corpus.slug}/{w.shown.generator.slug}/{part}/",
        )
        for part, cell, body in [
            ("samples", DONE, {}),
            ("withdraw", by(400), {}),
            ("release-date", by(400), {}),
        ]
    ),
    desk("team/", OK, None, route="teams/<slug:slug>/", at="desk/teams/lab/"),
    desk("quotas/", None, DONE, route="teams/<slug:slug>/quotas/", at="desk/teams/lab/quotas/"),
    desk("close/", None, DONE, route="accounts/<str:username>/close/", at="desk/accounts/member/close/"),
    desk("reopen/", None, DONE, route="accounts/<str:username>/reopen/", at="desk/accounts/closed/reopen/"),
]


def expected(row: Row, method: str, role: str) -> int:
    taken = "GET" if method == "HEAD" else method
    refusal = row.gate.refuses(role, method)
    if taken not in row.cells and row.gate in METHOD_FIRST:
        return 405
    if refusal is not None:
        return refusal
    return row.cells[taken][role] if taken in row.cells else 405


@pytest.fixture(scope="module")
def callers(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[World, dict[str, Client]]]:
    """The world, and a browser of each role. What a request does is undone after it."""
    with django_db_blocker.unblock(), transaction.atomic():
        world = World()
        board_refresh(world.benchmark)
        clients = {role: Client() for role in ROLES}
        for role, client in clients.items():
            if (user := world.people[role]) is not None:
                client.force_login(user)
        yield world, clients
        transaction.set_rollback(True)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_method_of_every_page_answers_each_role_as_the_table_says(
    callers: tuple[World, dict[str, Client]], row: Row
) -> None:
    world, clients = callers
    cache.clear()
    found, wanted = {}, {}
    for method in METHODS:
        for role in ROLES:
            client = clients[role]
            with undone():
                path = f"/{row.address(world, role)}"
                cookies = client.cookies.output()
                send = getattr(client, method.lower())
                answer = send(path, row.body(world, role)) if method == "POST" else send(path)
                found[method, role] = answer.status_code
                if answer.status_code == 302 and row.gate.refuses(role, method) == 302:
                    assert answer["Location"].startswith("/login/?next="), (method, role)
            if client.cookies.output() != cookies and world.people[role] is not None:
                # Signed out, or with a new session: its row is undone, so the old one holds again.
                client.cookies.clear()
                client.cookies.load(cookies.replace("Set-Cookie: ", ""))
            wanted[method, role] = expected(row, method, role)
    wrong = {cell: (found[cell], status) for cell, status in wanted.items() if found[cell] != status}
    assert wrong == {}, "found and wanted"


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every route of a page; the API has its own table."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif not route.startswith("api/"):
            yield route


def test_the_table_is_whole(record_property: Any) -> None:
    """Prints its size with ``-rP``."""
    assert {row.route for row in TABLE} == set(routes(get_resolver()))
    cells = len(TABLE) * len(ROLES) * len(METHODS)
    record_property("cells", cells)
    print(f"{len({row.route for row in TABLE})} routes, {len(TABLE)} addresses, {cells} cells")
