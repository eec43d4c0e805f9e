"""What a team may have and has: entries a day, runs under way, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone

from leaderboard.models import Run, Submission, Team, Upload
from protocols.errors import PLATFORM_FAULTS
from protocols.states import CHECKED, LIVE_RUN, SubmissionState

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Quota:
    """One bound: what is used of it, and how much it allows."""

    used: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class Quotas:
    """What each bound counts.

    ``submissions_a_day``: what was handed in during the last 24 hours and what is being uploaded,
    without what ended by a fault of the platform. ``active_runs``: entries that are being checked or
    tried, and runs that have not ended, one for each seed. ``stored_bytes``: kept archives, and
    uploads as they were declared.
    """

    submissions_a_day: Quota
    active_runs: Quota
    stored_bytes: Quota


def quotas(team: Team) -> Quotas:
    """Six queries."""
    entered = Submission.objects.filter(team=team)
    platform = Run.objects.filter(submission=OuterRef("pk"), state="failed", error_code__in=PLATFORM_FAULTS)
    today = (
        entered.filter(Q(sealed_at__gt=timezone.now() - DAY) | Q(state=SubmissionState.UPLOADING))
        .exclude(state=SubmissionState.REJECTED, error_code__in=PLATFORM_FAULTS)
        .exclude(Exists(platform))
        .count()
    )
    today += team.deleted_entries.filter(sealed_at__gt=timezone.now() - DAY).count()
    active = entered.filter(state__in=CHECKED).count()
    active += Run.objects.filter(submission__team=team, state__in=LIVE_RUN).count()
    # An image that was entered twice is kept once.
    archives = entered.exclude(archive="").order_by().values_list("archive", "archive_bytes").distinct()
    kept = sum(size for _, size in archives)
    coming = Upload.objects.filter(team=team).aggregate(total=Sum("length"))["total"] or 0
    return Quotas(
        Quota(today, _limit(team.max_submissions_a_day, settings.QUOTA_SUBMISSIONS_A_DAY)),
        Quota(active, _limit(team.max_active_runs, settings.QUOTA_ACTIVE_RUNS)),
        Quota(kept + coming, _limit(team.max_stored_bytes, settings.QUOTA_STORED_BYTES)),
    )


def _limit(granted: int | None, default: int) -> int:
    return default if granted is None else granted
