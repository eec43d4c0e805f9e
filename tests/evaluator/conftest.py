"""Fixtures of tests that run whole steps in real containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from local.images import ensure_detector
from tests.engines import Engines, Running, engine, engines, podman
from tests.evaluator.world import make_archive

__all__ = ["engine", "engines", "podman"]


@pytest.fixture
def worker_settings(settings: LazySettings, podman: Running) -> LazySettings:
    """Settings under which this process is a worker on the session's Podman."""
    settings.DOCKER_HOST = podman.engine.docker_host
    settings.INSTANCE = "tests"
    settings.RETRY_DELAY_S = 0.0
    return settings


@pytest.fixture
def archive(engines: Engines, podman: Running) -> Path:
    """The diary detector's archive (``tests.evaluator.world``), made once a session."""
    path = engines.folder / "diary.tar"
    if not path.exists():
        make_archive(podman.client, ensure_detector(podman.engine, "constant"), path)
    return path
