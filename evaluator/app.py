"""The Celery application of the workers: ``celery -A evaluator.app worker --pool threads``.

Threads, so that the main loop keeps answering the broker and signals while a step
runs; the step itself is a container, not Python.
"""

from __future__ import annotations

import os
from typing import Any

import django
from celery.signals import setup_logging, worker_ready, worker_shutdown, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
django.setup()

from evaluator import tasks, worker  # noqa: E402 - Django's models need its set-up first.
from evaluator.beat import Beat  # noqa: E402
from leaderboard.queue import app, send_wake_up  # noqa: E402

__all__ = ["app", "tasks"]

_beats: list[Beat] = []


@worker_ready.connect
def _begin(sender: Any, **_: Any) -> None:
    # The same name under which steps are leased.
    beat = Beat(sender.hostname)
    beat.start()
    _beats.append(beat)
    # Whatever a predecessor left behind is removed by the first look, and work that waits begins.
    send_wake_up()


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    worker.stopping.set()


@worker_shutdown.connect
def _gone(**_: Any) -> None:
    # By now all work in hand is ended or given back.
    for beat in _beats:
        beat.end()


@setup_logging.connect
def _log(**_: Any) -> None:
    """Keep Django's logging: a handler on this signal is how Celery is told not to set up its own."""
