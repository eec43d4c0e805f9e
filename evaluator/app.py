"""The Celery application of the workers: ``celery -A evaluator.app worker --pool threads``.

Threads, so that the main loop keeps answering the broker and signals while a step
runs; the step itself is a container, not Python.
"""

from __future__ import annotations

import os
from typing import Any

import django
from celery.signals import setup_logging, worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
django.setup()

from evaluator import tasks, worker  # noqa: E402 - Django's models need its set-up first.
from leaderboard.queue import app, send_wake_up  # noqa: E402

__all__ = ["app", "tasks"]


@worker_ready.connect
def _begin(**_: Any) -> None:
    # Whatever a predecessor left behind is removed by the first look, and work that waits begins.
    send_wake_up()


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    worker.stopping.set()


@setup_logging.connect
def _log(**_: Any) -> None:
    """Keep Django's logging: a handler on this signal is how Celery is told not to set up its own."""
