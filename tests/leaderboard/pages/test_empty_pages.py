from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.leaderboard.factories import BenchmarkFactory, CorpusFactory, SubmissionFactory, UserFactory

pytestmark = pytest.mark.django_db


def read(client: Client, name: str, *args: object) -> str:
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200
    return response.content.decode()


def test_pages_without_anything_yet_say_so(client: Client) -> None:
    assert "There is no benchmark yet." in read(client, "home")
    benchmark = BenchmarkFactory(corpus=CorpusFactory(slug="empty"))
    assert "no window yet" in read(client, "leaderboard", benchmark.slug)
    assert "No detector has met a generator yet." in read(client, "first-contact", benchmark.slug)
    assert "No detector has been through all windows yet." in read(client, "trends", benchmark.slug)
    assert "No generator is published yet." in read(client, "generators", "empty")
    waiting = SubmissionFactory(benchmark=benchmark)
    assert waiting.name in read(client, "detector", waiting.pk)
    assert "first edition" in read(client, "submission", waiting.pk)
    client.force_login(UserFactory())
    assert "You have not entered a detector yet." in read(client, "submissions")
