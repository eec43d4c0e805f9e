from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.models import WorkerBeat
from leaderboard.services.workers import worker_seen, worker_stopped, workers_forget

pytestmark = pytest.mark.django_db


def test_a_heartbeat_is_one_row_a_name() -> None:
    begun = timezone.now()
    worker_seen("w@host", started_at=begun, gpus=["0"], engine="podman 5.4.0")
    worker_seen("w@host", started_at=begun, gpus=["0"], problem="The engine does not answer.")
    (beat,) = WorkerBeat.objects.all()
    assert (beat.gpus, beat.problem, beat.started_at) == (["0"], "The engine does not answer.", begun)
    # What the engine was is known, though it can't be asked.
    assert beat.engine == "podman 5.4.0"
    worker_seen("w@host", started_at=begun, engine="podman 5.5.0")
    beat.refresh_from_db()
    assert (beat.engine, beat.problem) == ("podman 5.5.0", "")


def test_a_goodbye_is_not_said_for_a_successor() -> None:
    old, new = timezone.now() - timedelta(minutes=5), timezone.now()
    worker_seen("w@host", started_at=old)
    worker_seen("w@host", started_at=new)
    worker_stopped("w@host", started_at=old)
    assert WorkerBeat.objects.get().stopped_at is None
    worker_stopped("w@host", started_at=new)
    assert WorkerBeat.objects.get().stopped_at is not None
    worker_seen("w@host", started_at=timezone.now())
    assert WorkerBeat.objects.get().stopped_at is None, "it is back"


def test_the_silent_are_forgotten_after_a_week() -> None:
    now = timezone.now()
    for name, days in (("yesterday", 1), ("six", 6), ("eight", 8)):
        WorkerBeat.objects.create(name=name, started_at=now, seen_at=now - timedelta(days=days))
    assert workers_forget() == 1
    assert set(WorkerBeat.objects.values_list("name", flat=True)) == {"yesterday", "six"}
