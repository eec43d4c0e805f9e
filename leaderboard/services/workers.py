"""Signs of life of the workers, one row a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from leaderboard.models import WorkerBeat
from leaderboard.queue import ALL_WORK

# After so long nobody asks any more what became of a worker.
FORGOTTEN_AFTER = timedelta(days=7)


def worker_seen(
    name: str,
    *,
    started_at: datetime,
    gpus: Sequence[str] = (),
    takes: Sequence[str] = ALL_WORK,
    engine: str = "",
    problem: str = "",
) -> None:
    """Write a heartbeat. ``engine`` stays what it was while the engine can't be asked."""
    fields = {
        "gpus": list(gpus),
        "takes": list(takes),
        "started_at": started_at,
        "seen_at": timezone.now(),
        "stopped_at": None,
        "problem": problem,
    }
    if engine:
        fields["engine"] = engine[:120]
    WorkerBeat.objects.update_or_create(name=name[:200], defaults=fields)


def worker_stopped(name: str, *, started_at: datetime) -> None:
    """The worker says that it ends. A successor of the same name that has begun already is left alone."""
    WorkerBeat.objects.filter(name=name[:200], started_at=started_at).update(stopped_at=timezone.now())


def workers_forget() -> int:
    """Delete the rows of workers that have been silent for a week; returns how many."""
    count, _ = WorkerBeat.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()
    return count
