"""Who is who in the tables of permissions, and one of everything for them to ask for."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from leaderboard.models import Invitation, Membership, Role, Submission, Team, Trial, User, Visibility
from leaderboard.services.subscriptions import email_subscribe, webhook_create
from leaderboard.services.teams import invitation_key, personal_team
from protocols.contract import Phase
from protocols.states import BatchState, RunState, SubmissionState
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

# Nobody; somebody with a team of their own; a plain member of the team ``lab``, who entered nothing;
# the member who entered what the team has; the team's owner; and whoever runs the server.
ROLES = ("anonymous", "stranger", "member", "author", "owner", "maintainer")
LAB = ("member", "author", "owner")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
SAFE = ("GET", "HEAD", "OPTIONS")

Statuses = dict[str, int]


def by(default: int, *, lab: int | None = None, **others: int) -> Statuses:
    """A status for each role: ``lab`` for all three of the team, and each role by its name."""
    groups = dict.fromkeys(LAB, lab) if lab is not None else {}
    return dict.fromkeys(ROLES, default) | groups | others  # type: ignore[return-value]


@dataclass(frozen=True)
class Gate:
    """Whom an address turns away before it looks at what they ask for, and with what."""

    name: str
    refuses: Callable[[str, str], int | None]


class World:
    """One of everything. What belongs to somebody belongs to the team ``lab``, and ``author`` made it."""

    def __init__(self) -> None:
        self.stranger, self.member, self.author, self.owner = (UserFactory(username=n) for n in ROLES[1:5])
        self.maintainer = UserFactory(username="maintainer-1", maintainer=True)
        self.people: dict[str, User | None] = {
            "anonymous": None,
            "stranger": self.stranger,
            "member": self.member,
            "author": self.author,
            "owner": self.owner,
            "maintainer": self.maintainer,
        }
        self.lab = self.team("lab", owner=self.owner, member=[self.member, self.author])
        self.rivals = self.team("rivals", owner=self.stranger)
        self.empty = self.team("empty", owner=self.owner, member=[self.member, self.author])
        for person in self.people.values():
            if person is not None:
                personal_team(person)
        self.invitation = Invitation.objects.create(
            team=self.lab,
            email="newcomer@example.org",
            invited_by=self.owner,
            sent_at=timezone.now() - timedelta(hours=1),
        )
        self.invitation_key = invitation_key(self.invitation)
        self.closed = UserFactory(username="closed", is_active=False)

        self.benchmark = BenchmarkFactory()
        self.corpus = self.benchmark.corpus
        self.edition = EditionFactory(benchmark=self.benchmark, windows=1)
        self.shown = BatchFactory(corpus=self.corpus)
        self.announced = GeneratorFactory(corpus=self.corpus)
        self.hidden_batch = BatchFactory(
            corpus=self.corpus, generator=self.announced, state=BatchState.UPLOADING
        )
        self.sealed_batch = BatchFactory(corpus=self.corpus, state=BatchState.SEALED)
        self.public = self.entry()
        self.private = self.entry(visibility=Visibility.PRIVATE)
        self.draft = self.entry(draft=True)
        self.rejected = self.entry(state=SubmissionState.REJECTED, error_code="worker_lost")
        self.withdrawn = self.entry(state=SubmissionState.WITHDRAWN, accepted_at=timezone.now())
        self.taken_back = self.entry(state=SubmissionState.WITHDRAWN, draft=True)
        Submission.objects.filter(pk=self.taken_back.pk).update(state=SubmissionState.WITHDRAWN)
        self.failed = self.entry()
        self.foreign = SubmissionFactory(
            owner=self.stranger, team=self.rivals, benchmark=self.benchmark, visibility=Visibility.PRIVATE
        )
        Trial.objects.create(submission=self.public, phase=Phase.TRAIN, seconds=1.0, log="loss 0.1")
        self.run = RunFactory(submission=self.public, edition=self.edition)
        self.private_run = RunFactory(submission=self.private, edition=self.edition)
        self.failed_run = RunFactory(
            submission=self.failed, edition=self.edition, state=RunState.FAILED, error_code="worker_lost"
        )
        self.hidden = self.entry(visibility=Visibility.PRIVATE)
        RunFactory(
            submission=self.hidden, edition=self.edition, state=RunState.FAILED, error_code="worker_lost"
        )
        self.waiting_edition = EditionFactory(
            benchmark=self.benchmark,
            windows=1,
            number=self.edition.number + 1,
            opened_at=None,
            settled_at=None,
        )
        self.step = StepFactory(run=self.run, phase=Phase.TRAIN, log_tail="loss 0.1")
        self.private_step = StepFactory(run=self.private_run)
        self.event = EventFactory(submission=self.public)
        self.webhook = webhook_create(owner=self.author, url="https://example.org/hook", benchmark=None)
        email_subscribe(address="reader@example.org", benchmark=self.benchmark)

    def team(self, slug: str, *, owner: User, member: list[User] | None = None) -> Team:
        team = Team.objects.create(slug=slug, name=slug.title())
        Membership.objects.create(team=team, user=owner, role=Role.OWNER)
        for user in member or []:
            Membership.objects.create(team=team, user=user)
        return team

    def entry(self, **fields: Any) -> Submission:
        return SubmissionFactory(owner=self.author, team=self.lab, benchmark=self.benchmark, **fields)

    def upload_of(self, role: str) -> uuid.UUID:
        """A new upload of the caller's, or for nobody of the author's."""
        owner = self.people[role] or self.author
        return UploadFactory(owner=owner, team=self.lab).pk

    def token_of(self, role: str) -> str:
        """The handle of some token of the caller's, or for nobody of the author's."""
        from leaderboard.services.accounts import token_create

        owner = self.people[role] or self.author
        return token_create(owner, ttl=timedelta(hours=1)).handle


Address = Callable[[World, str], str]
Body = Callable[[World, str], Any]


def nothing(world: World, role: str) -> None:
    return None


@dataclass(frozen=True)
class Row:
    """One address of one route. ``cells`` has the methods that it takes, as answered behind its gate."""

    route: str
    address: Address
    gate: Gate
    cells: Mapping[str, Statuses]
    body: Body = nothing
    note: str = ""
    # Methods that the gate lets everybody ask.
    open: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.route} {self.note}".strip()


@contextmanager
def undone() -> Iterator[None]:
    """What happens in here never happened; and nobody needs to read of it."""
    logging.disable(logging.CRITICAL)
    before = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)
        logging.disable(logging.NOTSET)
