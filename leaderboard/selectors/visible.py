"""Who may see what: every answer of the API starts from one of these querysets.

Visitors are anonymous users. A maintainer sees everything but other people's uploads.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from leaderboard.models import (
    Batch,
    Benchmark,
    Corpus,
    Edition,
    Event,
    Generator,
    Role,
    Run,
    Step,
    Submission,
    Upload,
)
from leaderboard.selectors.generators import SHOWN


def is_maintainer(user: Any) -> bool:
    return getattr(user, "is_maintainer", False)


def may_manage(user: Any, submission: Submission) -> bool:
    """Whether ``user`` may run a submission and read its logs: members of its team and maintainers may.

    Null rows are the server's alone.
    """
    if submission.null_row:
        return False
    return is_maintainer(user) or submission.team_id in getattr(user, "roles", ())


def may_end(user: Any, submission: Submission) -> bool:
    """Whether ``user`` may take a submission back: who entered it, owners of its team, maintainers."""
    if submission.null_row:
        return False
    role = getattr(user, "roles", {}).get(submission.team_id)
    return is_maintainer(user) or role == Role.OWNER or (role is not None and submission.owner_id == user.pk)


def corpora() -> QuerySet[Corpus]:
    return Corpus.objects.all()


def generators(user: Any) -> QuerySet[Generator]:
    """Generators with images; maintainers also see those that are only announced."""
    found = Generator.objects.select_related("corpus")
    if is_maintainer(user):
        return found
    return found.filter(Exists(Batch.objects.filter(generator=OuterRef("pk"), state__in=SHOWN)))


def batches(user: Any) -> QuerySet[Batch]:
    """A batch that is still being checked, or was turned down, is the maintainers' affair."""
    found = Batch.objects.select_related("corpus", "generator")
    return found if is_maintainer(user) else found.filter(state__in=SHOWN)


def benchmarks() -> QuerySet[Benchmark]:
    return Benchmark.objects.select_related("corpus")


def editions() -> QuerySet[Edition]:
    return Edition.objects.select_related("benchmark").prefetch_related("windows__generators")


def submissions(user: Any) -> QuerySet[Submission]:
    return Submission.objects.visible_to(user).select_related("owner", "team", "benchmark", "upload")


def runs(user: Any) -> QuerySet[Run]:
    return Run.objects.filter(submission__in=Submission.objects.visible_to(user)).select_related(
        "submission__owner", "edition__benchmark"
    )


def steps(user: Any) -> QuerySet[Step]:
    return Step.objects.filter(run__submission__in=Submission.objects.visible_to(user)).select_related(
        "run__submission", "unit__generator"
    )


def events(user: Any) -> QuerySet[Event]:
    """Events name workers and give inner reasons: they are for the team and for maintainers."""
    if is_maintainer(user):
        return Event.objects.all()
    if not user.is_authenticated:
        return Event.objects.none()
    own = Submission.objects.of(user)
    return Event.objects.filter(
        Q(submission__in=own) | Q(run__submission__in=own) | Q(step__run__submission__in=own)
    )


def uploads(user: Any) -> QuerySet[Upload]:
    """The caller's own that have not expired; nobody else's, not even for a maintainer."""
    if not user.is_authenticated:
        return Upload.objects.none()
    return Upload.objects.filter(owner=user, expires_at__gt=timezone.now())
