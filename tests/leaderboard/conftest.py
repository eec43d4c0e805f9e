"""A board to read from, made once a module and rolled back after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from tests.leaderboard.world import World, build_world


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Three detectors and all that can be under way. A test's own writes are rolled back to this."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build_world(n_detectors=3)
        transaction.set_rollback(True)
