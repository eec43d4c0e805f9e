"""Null rows in the API: everybody reads them, told apart from detectors, and nobody may touch them."""

from __future__ import annotations

import numpy as np
import pytest
from rest_framework.test import APIClient

from leaderboard.models import Run, Submission
from leaderboard.services.null_rows import null_row_claim, null_row_write
from tests.leaderboard.factories import BenchmarkFactory, EditionFactory, SubmissionFactory, UnitFactory

pytestmark = pytest.mark.django_db

SUBMISSIONS = "/api/v1/submissions/"


@pytest.fixture
def null_row() -> Submission:
    """The constant on a benchmark that has a detector too."""
    benchmark = BenchmarkFactory()
    EditionFactory(benchmark=benchmark, windows=1)
    UnitFactory(benchmark=benchmark)
    SubmissionFactory(benchmark=benchmark, name="npr")
    missing = null_row_claim()
    assert missing is not None
    half = {window: {unit: np.full(20, 0.5) for unit in units} for window, units in missing.wanted().items()}
    null_row_write(missing, half)
    return Submission.objects.get(null_row="constant")


def names(client: APIClient, query: str = "") -> list[tuple[str, str | None]]:
    rows = client.get(SUBMISSIONS + query).json()["results"]
    return [(row["name"], row["null_row"]) for row in rows]


def test_the_list_tells_null_rows_from_detectors(visitor: APIClient, null_row: Submission) -> None:
    assert names(visitor) == [("constant", "constant"), ("npr", None)]
    assert names(visitor, "?null_row=true") == [("constant", "constant")]
    assert names(visitor, "?null_row=false") == [("npr", None)]
    found = visitor.get(f"{SUBMISSIONS}{null_row.pk}/").json()
    assert (found["null_row"], found["team"], found["cost_s"]) == ("constant", "_tidemark", None)
    assert found["runs"][0]["state"] == "succeeded"


def test_they_are_among_nobodys_own(maintainer: APIClient, null_row: Submission) -> None:
    assert names(maintainer, "?mine=true") == []


@pytest.mark.parametrize("action", ["cancel", "retry", "withdraw"])
def test_no_maintainer_acts_on_them(maintainer: APIClient, null_row: Submission, action: str) -> None:
    answer = maintainer.post(f"{SUBMISSIONS}{null_row.pk}/{action}/", {"reason": ""}, format="json")
    assert answer.status_code == 403
    assert Submission.objects.get(pk=null_row.pk).state == "accepted"


def test_no_maintainer_deletes_them(maintainer: APIClient, null_row: Submission) -> None:
    assert maintainer.delete(f"{SUBMISSIONS}{null_row.pk}/").status_code == 403
    assert Run.objects.filter(submission=null_row).exists()


def test_their_team_is_nobodys_to_join_or_change(maintainer: APIClient, null_row: Submission) -> None:
    assert maintainer.get("/api/v1/teams/_tidemark/").status_code == 404
    assert "_tidemark" not in [team["slug"] for team in maintainer.get("/api/v1/teams/").json()["results"]]
