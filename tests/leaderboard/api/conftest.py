"""Callers of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from leaderboard.models import User
from leaderboard.services.accounts import token_create
from tests.leaderboard.factories import UserFactory

ClientOf = Callable[[User | None], APIClient]


@pytest.fixture(autouse=True)
def no_throttle_left_over() -> Iterator[None]:
    """Requests of other tests must not count."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def client_of(db: None) -> ClientOf:
    def make(user: User | None) -> APIClient:
        client = APIClient()
        if user is not None:
            token = token_create(user, ttl=timedelta(hours=1)).token
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    return make


@pytest.fixture
def visitor(client_of: ClientOf) -> APIClient:
    return client_of(None)


@pytest.fixture
def maintainer(client_of: ClientOf) -> APIClient:
    return client_of(UserFactory(maintainer=True))


@pytest.fixture
def submitter(db: None) -> User:
    return UserFactory()


@pytest.fixture
def owner(client_of: ClientOf, submitter: User) -> APIClient:
    """The client of ``submitter``."""
    return client_of(submitter)
