"""The invented benchmark is what the server would have made of the same scores, and goes without a trace."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse

from leaderboard.load.make import DESCRIPTION, N_KEPT
from leaderboard.models import (
    Benchmark,
    Board,
    Corpus,
    FirstContact,
    PeriodScore,
    Run,
    RunInfluence,
    RunScore,
    RunTransfer,
    Step,
    Submission,
    Team,
    UnitScore,
    User,
)
from leaderboard.services.scores import rescore_next
from tests.leaderboard.factories import SubmissionFactory

N_DETECTORS = 30


def make(*arguments: str, slug: str = "load") -> str:
    said = StringIO()
    call_command("make_load", "--slug", slug, "--yes", *arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def load(transactional_db: None) -> Benchmark:
    make("--detectors", str(N_DETECTORS), "--processes", "1")
    return Benchmark.objects.get(slug="load")


def test_every_table_of_a_detector_is_filled(load: Benchmark) -> None:
    runs = Run.objects.filter(submission__benchmark=load)
    assert load.submissions.count() == N_DETECTORS
    assert runs.count() > N_DETECTORS, "some have several seeds"
    n = runs.count()
    assert UnitScore.objects.count() == n * 9 * 36
    # After the last window there is no next one.
    assert PeriodScore.objects.count() == n * (9 * 3 - 1)
    assert RunScore.objects.count() == 3 * n
    assert RunTransfer.objects.count() == RunInfluence.objects.count() == n
    assert FirstContact.objects.count() == n * 32
    assert 0 < FirstContact.objects.filter(prospective=True).count() < n * 32
    assert load.submissions.filter(declared_cutoff__isnull=False).exists()
    free = load.submissions.filter(phases=["predict"])
    assert Step.objects.filter(run__submission__in=free, phase="train").count() == 0
    assert Step.objects.filter(run__submission__in=free, reused=True).exists()
    assert load.corpus.simulated


def numbers(run: Run) -> list[dict[str, Any]]:
    """Every score of a run, without the ids of its rows."""
    found = []
    for rows in (
        UnitScore.objects.filter(run=run).order_by("window", "unit"),
        PeriodScore.objects.filter(run=run).order_by("window", "period"),
        RunScore.objects.filter(run=run).order_by("period"),
        RunTransfer.objects.filter(run=run),
    ):
        found += [model_to_dict(row, exclude=["id"]) for row in rows]
    return found


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == (pytest.approx(other, rel=1e-12) if isinstance(one, float) else other))


def test_the_server_computes_the_same_from_the_scores_of_single_images(load: Benchmark) -> None:
    kept = list(Run.objects.filter(submission__benchmark=load).order_by("pk")[: N_KEPT - 1])
    before = {run.pk: (numbers(run), RunInfluence.objects.get(run=run)) for run in kept}
    # Stale is what the server is to compute anew, from the stored predictions.
    Run.objects.filter(pk__in=[run.pk for run in kept]).update(stale_since=load.created_at)
    while rescore_next():
        pass
    for run in kept:
        scores, influence = before[run.pk]
        assert len(scores) == 9 * 36 + 26 + 3 + 1
        assert all(same(*pair) for pair in zip(scores, numbers(run), strict=True))
        again = RunInfluence.objects.get(run=run)
        assert (again.units, bytes(again.values), again.n_pairs) == (
            influence.units,
            bytes(influence.values),
            influence.n_pairs,
        )


def test_its_pages_are_there_and_say_that_they_are_simulated(load: Benchmark, client: Client) -> None:
    board = Board.objects.get(benchmark=load)
    assert 0 < board.n_rows <= N_DETECTORS
    detector = load.submissions.order_by("name").first()
    assert detector is not None
    for address in (
        reverse("leaderboard", args=["load"]),
        reverse("first-contact", args=["load"]),
        reverse("detector", args=[detector.pk]),
        reverse("generator", args=["load", "invented-36"]),
    ):
        response = client.get(address)
        assert response.status_code == 200, address
        assert b"Simulated corpus" in response.content, address


def test_equal_seeds_give_equal_detectors_and_processes_change_nothing(load: Benchmark) -> None:
    make("--detectors", str(N_DETECTORS), "--processes", "2", slug="again")

    def values(slug: str) -> list[Any]:
        rows = RunScore.objects.filter(run__submission__benchmark__slug=slug)
        return list(
            rows.order_by("run__submission__name", "run__seed", "period").values_list("value", "low", "high")
        )

    assert values("load") == values("again")
    make("--detectors", str(N_DETECTORS), "--seed", "2", slug="other")
    assert values("other") != values("load")


def test_nothing_that_is_there_is_touched(load: Benchmark) -> None:
    with pytest.raises(CommandError, match="choose another slug"):
        make()
    real = SubmissionFactory().benchmark
    with pytest.raises(CommandError, match="no benchmark"):
        make("--delete", slug=real.slug)
    SubmissionFactory(benchmark=load)
    with pytest.raises(CommandError, match="Somebody has entered"):
        make("--delete")
    assert load.submissions.count() == N_DETECTORS + 1


def test_it_goes_without_a_trace_and_first_contacts_stay_final(load: Benchmark) -> None:
    other = make("--detectors", "2", "--processes", "1", slug="other")
    assert "done in" in other
    make("--delete")
    assert list(Benchmark.objects.values_list("slug", "description")) == [("other", DESCRIPTION)]
    for model in (Corpus, Submission, Team, User, UnitScore, FirstContact, Board):
        assert not model.objects.filter(**_of("load", model)).exists(), model
    assert FirstContact.objects.exists()
    with pytest.raises(DatabaseError, match="final"), transaction.atomic():
        FirstContact.objects.all().delete()


def _of(slug: str, model: Any) -> dict[str, str]:
    return {
        Corpus: {"slug": slug},
        Submission: {"benchmark__slug": slug},
        Team: {"slug__startswith": f"{slug}-team-"},
        User: {"username": f"{slug}-load"},
        UnitScore: {"unit__benchmark__slug": slug},
        FirstContact: {"unit__benchmark__slug": slug},
        Board: {"benchmark__slug": slug},
    }[model]


def test_a_server_for_others_wants_to_be_asked_twice(transactional_db: None) -> None:
    with pytest.raises(CommandError, match="--yes"):
        call_command("make_load", "--detectors", "1")
    with pytest.raises(CommandError, match="at least one"):
        make("--detectors", "0")
