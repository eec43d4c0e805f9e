"""What a worker is: a name, the GPUs it may hand out, and its container engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from docker.client import DockerClient

from sandbox.engine import Engine, connect

# Set when the process was asked to end: work in hand is given back, nothing new is taken.
stopping = threading.Event()


@dataclass(frozen=True)
class Worker:
    """One Celery worker; ``gpus`` are the device ids that it was started for."""

    name: str
    gpus: tuple[str, ...]
    client: DockerClient
    engine: Engine


@contextmanager
def connected(name: str) -> Iterator[Worker]:
    """A worker with a fresh connection to its engine. Raises ``PlatformError('engine_unavailable')``."""
    client, engine = connect(settings.DOCKER_HOST)
    try:
        yield Worker(name, tuple(settings.WORKER_GPUS), client, engine)
    finally:
        client.close()
