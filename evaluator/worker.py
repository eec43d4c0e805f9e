"""What a worker is: a name, the GPUs it may hand out, and its container engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from django.conf import settings
from docker import DockerClient

from evaluator.sandbox.engine import Engine, connect

# Set when the process was asked to end: work in hand is given back, nothing new is taken.
stopping = threading.Event()


@dataclass(frozen=True)
class Worker:
    """One Celery worker; ``gpus`` are the device ids that it was started for."""

    name: str
    gpus: tuple[str, ...]
    client: DockerClient
    engine: Engine


def connect_worker(name: str) -> Worker:
    """A worker with a fresh connection to its engine. Raises ``PlatformError('engine_unavailable')``."""
    client, engine = connect(settings.DOCKER_HOST)
    return Worker(name, tuple(settings.WORKER_GPUS), client, engine)
