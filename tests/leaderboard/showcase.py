"""A site with something on every page, and the addresses of them all, by who reads them.

What looks at all pages alike, as the checks of accessibility do, takes its addresses from here, so
that a page is looked at everywhere once it is written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import numpy as np
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from leaderboard.models import (
    Batch,
    Board,
    Generator,
    Step,
    Submission,
    Subscription,
    Team,
    User,
    WorkerBeat,
)
from leaderboard.services import teams
from leaderboard.services.accounts import password_link
from leaderboard.services.audit import Verb, record
from leaderboard.services.boards import board_touch, boards_refresh
from leaderboard.services.null_rows import null_row_claim, null_row_write
from leaderboard.services.subscriptions import email_subscribe, webhook_create, webhook_ping
from protocols.states import BatchState, StepState, SubmissionState
from tests.leaderboard.arrivals import arrive, show, withdraw
from tests.leaderboard.batches import AUDIT, REPORT
from tests.leaderboard.factories import (
    BatchFactory,
    BenchmarkFactory,
    EditionFactory,
    SubmissionFactory,
    UploadFactory,
    UserFactory,
    WindowFactory,
)
from tests.leaderboard.world import DETECTORS, N_IMAGES, World, build_world

# What the metadata alone would tell, in standard deviations of the score.
SHORTCUT = 0.4


@dataclass(frozen=True)
class Place:
    """A page in a state worth looking at. ``user`` is who reads it, nobody where it is ``None``."""

    name: str
    address: str
    user: User | None = None
    status: int = 200


@dataclass(frozen=True)
class Showcase:
    world: World
    places: list[Place]

    def at(self, name: str) -> Place:
        (found,) = [place for place in self.places if place.name == name]
        return found


def build_showcase(*, n_detectors: int = len(DETECTORS)) -> Showcase:
    """Fill the database: a world, its null rows, a past board, an arrival under way, a busy desk, a team."""
    world = build_world(n_detectors=n_detectors)
    _null_rows()
    Board.objects.update(at=F("at") - timedelta(days=30))
    board_touch(world.benchmark.pk)
    boards_refresh()
    show(Generator.objects.get(slug="lanczos-3"))
    withdraw(Generator.objects.get(slug="vq-16"))
    newcomer = arrive(world, n_met=n_detectors // 2)
    board_touch(world.benchmark.pk)
    boards_refresh()
    _desk(world)
    batch = BatchFactory(
        corpus=world.corpus, generator=newcomer, state=BatchState.SEALED, report=REPORT, audit=AUDIT
    )
    places = [
        *_public(world, newcomer),
        *_accounts(world, _team(world)),
        *_entries(world),
        *_maintainers(world, newcomer, batch),
    ]
    return Showcase(world, places)


def _null_rows() -> None:
    random = np.random.default_rng(7)
    while True:
        with transaction.atomic():
            missing = null_row_claim()
            if missing is None:
                return
            distance = 0.0 if missing.null_row == "constant" else SHORTCUT
            places = np.repeat([distance / 2, -distance / 2], N_IMAGES)
            null_row_write(
                missing,
                {
                    window: {
                        unit: (
                            1 / (1 + np.exp(-random.normal(places, 1.0)))
                            if distance
                            else np.full(2 * N_IMAGES, 0.5)
                        )
                        for unit in units
                    }
                    for window, units in missing.wanted().items()
                },
            )


def _public(world: World, newcomer: Generator) -> list[Place]:
    board = f"/b/{world.benchmark.slug}/"
    corpus = f"/c/{world.corpus.slug}/generators/"
    empty = BenchmarkFactory(corpus=world.corpus, slug="empty-v1", name="Nothing yet")
    chosen = [str(entry.pk) for entry in world.succeeded[:3]]
    null_row = Submission.objects.get(benchmark=world.benchmark, null_row="metadata")
    email_subscribe(address="reader@example.org", benchmark=world.benchmark)
    token = Subscription.objects.get(address="reader@example.org").token
    return [
        Place("home", "/"),
        Place("leaderboard", board),
        Place("leaderboard-metrics", f"{board}?columns=metrics"),
        Place("leaderboard-windows", f"{board}?columns=windows"),
        Place(
            "leaderboard-filtered",
            f"{board}?{urlencode({'q': 'e', 'track': 'trained', 'family': 'diffusion', 'prospective': 1})}",
        ),
        Place("leaderboard-nothing-left", f"{board}?q=nothing+like+it"),
        Place("leaderboard-past", f"{board}?asof={timezone.now() - timedelta(days=10):%Y-%m-%d}"),
        Place("leaderboard-missing", f"{board}?asof=edition-9", status=404),
        Place("leaderboard-empty", f"/b/{empty.slug}/"),
        Place("first-contact", f"{board}first-contact/"),
        Place("first-contact-filtered", f"{board}first-contact/?family=diffusion&prospective=1"),
        Place("trends", f"{board}trends/"),
        Place("compare-picker", f"{board}compare/"),
        Place("compare-three", f"{board}compare/?{urlencode({'d': chosen}, doseq=True)}"),
        Place("arrivals", f"{board}arrivals/"),
        Place("subscribe", f"{board}news/"),
        Place("subscription-confirm", f"/news/{token}/confirm/"),
        Place("unsubscribe", f"/news/{token}/unsubscribe/"),
        Place("generators", corpus),
        Place("generator", f"{corpus}lanczos-3/"),
        Place("generator-newcomer", f"{corpus}{newcomer.slug}/"),
        Place("generator-withdrawn", f"{corpus}vq-16/"),
        Place("detector", f"/detectors/{world.succeeded[0].pk}/"),
        Place("detector-running", f"/detectors/{world.running.pk}/"),
        Place("detector-failed", f"/detectors/{world.failed.pk}/"),
        Place("detector-null", f"/detectors/{null_row.pk}/"),
        Place("embed-board", f"{board}embed/"),
        Place("embed-detector", f"/detectors/{world.succeeded[0].pk}/embed/"),
        Place("404", "/nowhere/", status=404),
    ]


def _team(world: World) -> Team:
    team = teams.team_create(owner=world.submitter, slug="spectrum-lab", name="Spectrum lab")
    invitation = teams.invite(team, email="newcomer@example.org", role="member", actor=world.submitter)
    teams.invitation_accept(teams.invitation_key(invitation), user=User.objects.get(username="e.larsen"))
    teams.invite(team, email="another@example.org", role="member", actor=world.submitter)
    return team


def _accounts(world: World, team: Team) -> list[Place]:
    user = world.submitter
    invitation = team.invitations.get()
    hook = webhook_create(owner=user, url="https://receiver.example.org/hook", benchmark=world.benchmark)
    webhook_ping(hook)
    address = EmailAddress.objects.create(user=user, email="noor@example.org", primary=True)
    without_password = UserFactory(username="by-link")
    without_password.set_unusable_password()
    without_password.save()
    return [
        Place("login", "/login/"),
        Place("signup", "/signup/"),
        Place("signup-sent", "/signup/sent/"),
        Place("confirm-unknown", "/signup/confirm/nothing/"),
        Place("password-reset", "/password/reset/"),
        Place("password-reset-sent", "/password/reset/sent/"),
        Place("password-reset-unknown", "/password/reset/key/1-nothing/"),
        Place("password-reset-key", urlsplit(password_link(user)).path),
        Place("password-reset-done", "/password/reset/done/"),
        Place("account-closed", "/account/closed/"),
        Place("invitation", f"/invitations/{teams.invitation_key(invitation)}/"),
        Place("confirm", f"/signup/confirm/{EmailConfirmationHMAC(address).key}/"),
        Place("logout", "/logout/", user),
        Place("again", "/account/again/", user),
        Place("account", "/account/", user),
        Place("account-email", "/account/email/", user),
        Place("account-password", "/account/password/", user),
        Place("account-password-first", "/account/password/set/", without_password),
        Place("tokens", "/account/tokens/", user),
        Place("teams", "/teams/", user),
        Place("team", f"/teams/{team.slug}/", user),
        Place("notifications", "/notifications/", user),
        Place("webhooks", "/webhooks/", user),
        Place("webhook", f"/webhooks/{hook.pk}/", user),
    ]


def _entries(world: World) -> list[Place]:
    user = world.submitter
    draft = SubmissionFactory(
        owner=user,
        benchmark=world.benchmark,
        name="half-sent",
        draft=True,
        state=SubmissionState.DRAFT,
        team=user.teams.get(personal_of=user),
    )
    return [
        Place("home-member", "/", user),
        Place("leaderboard-member", f"/b/{world.benchmark.slug}/", user),
        Place("enter", "/enter/", user),
        Place("enter-upload", f"/enter/{draft.pk}/", user),
        Place("submissions", "/submissions/", user),
        Place("submission", f"/submissions/{world.succeeded[0].pk}/", user),
        Place("submission-running", f"/submissions/{world.running.pk}/", user),
        Place("submission-failed", f"/submissions/{world.failed.pk}/", user),
        Place("submission-rejected", f"/submissions/{world.rejected.pk}/", user),
        Place("detector-private", f"/detectors/{world.private.pk}/", user),
        Place("403", "/desk/", user, status=403),
    ]


def _desk(world: World) -> None:
    now = timezone.now()
    for name, engine, seen, problem in (
        ("gpu-1@hopper", "docker 28.5.1", now, ""),
        ("worker1@tidemark-eval-03.example.org", "podman 5.4.2", now - timedelta(minutes=14), ""),
        ("worker2@tidemark-eval-04.example.org", "", now, "The container engine does not answer: refused"),
    ):
        WorkerBeat.objects.create(
            name=name, engine=engine, started_at=now - timedelta(days=2), seen_at=seen, problem=problem
        )
    Step.objects.filter(state=StepState.FAILED).update(finished_at=now - timedelta(hours=5))
    BatchFactory(
        corpus=world.corpus,
        state=BatchState.REJECTED,
        error_code="batch_empty",
        error_detail="No usable image is left: 412 duplicates, 3 broken.",
    )
    coming = EditionFactory(benchmark=world.benchmark, number=2, opened_at=None)
    WindowFactory(edition=coming, index=0, generators=list(Generator.objects.order_by("release_date")[:4]))
    UploadFactory(content=b"x" * 40_000, expires_at=now - timedelta(days=1))
    record(world.maintainer, Verb.BATCH_PUBLISHED, "flow-2", reason="PNG alone was on offer.", batch="5a7e")
    record(world.maintainer, Verb.STORAGE_FREED, "artifacts", n_objects=48, size_bytes=51_539_607_552)


def _maintainers(world: World, newcomer: Generator, batch: Batch) -> list[Place]:
    uploading = BatchFactory(corpus=world.corpus, state=BatchState.UPLOADING, n_train=0, n_eval=0)
    generator = f"/desk/generators/{world.corpus.slug}/{newcomer.slug}/"
    addresses = {
        "desk": "/desk/",
        "desk-cut": f"/desk/benchmarks/{world.benchmark.slug}/cut/",
        "desk-arrivals": "/desk/arrivals/",
        "desk-queue": "/desk/queue/",
        "desk-workers": "/desk/workers/",
        "desk-failures": "/desk/failures/",
        "desk-storage": "/desk/storage/",
        "desk-cost": "/desk/cost/",
        "desk-log": "/desk/log/",
        "desk-batches": "/desk/batches/",
        "desk-batch-new": f"/desk/batches/new/?corpus={world.corpus.slug}",
        "desk-batch": f"/desk/batches/{batch.pk}/",
        "desk-batch-uploading": f"/desk/batches/{uploading.pk}/",
        "desk-batch-publish": f"/desk/batches/{batch.pk}/publish/",
        "desk-generator": generator,
        "desk-teams": "/desk/teams/",
        "desk-team": "/desk/teams/spectrum-lab/",
    }
    return [Place(name, address, world.maintainer) for name, address in addresses.items()]
