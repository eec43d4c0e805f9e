from __future__ import annotations

import pytest
from django.utils import timezone

from leaderboard.models import Generator, Run, RunTransfer, UnitScore
from leaderboard.selectors.detectors import detector
from leaderboard.services.transfer import transfer_score
from tests.leaderboard.factories import RunFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


def test_it_is_what_the_detectors_page_computes(world: World) -> None:
    report = detector(world.succeeded[1].pk, None)
    kept = transfer_score(Run.objects.get(pk=report.entry.run_id))
    assert kept.forgetting == pytest.approx(report.transfer.forgetting)
    assert kept.backward == pytest.approx(report.transfer.backward)
    assert kept.forward == pytest.approx(report.transfer.forward)
    assert kept.backward < 0, "this one was made to lose something each window"


def test_it_may_be_written_again(world: World) -> None:
    run = world.succeeded[1].runs.get()
    first = transfer_score(run)
    UnitScore.objects.filter(run=run, window=3).update(roc_auc=0.5)
    second = transfer_score(run)
    assert RunTransfer.objects.filter(run=run).count() == 1
    assert second.forgetting > first.forgetting


def test_what_is_missing_leaves_it_null(world: World) -> None:
    run = world.running.runs.get()
    kept = transfer_score(run)
    assert (kept.forgetting, kept.backward, kept.forward) == (None, None, None)
    empty = transfer_score(RunFactory())
    assert (empty.forgetting, empty.backward, empty.forward) == (None, None, None)


def test_a_withdrawn_generator_counts_no_more(world: World) -> None:
    run = world.succeeded[1].runs.get()
    # It fell from 1 to 0: alone, it forgets more than anything else in the world.
    UnitScore.objects.filter(run=run, unit__generator__slug="nearest-2", window__lt=3).update(roc_auc=1.0)
    UnitScore.objects.filter(run=run, unit__generator__slug="nearest-2", window=3).update(roc_auc=0.0)
    before = transfer_score(run)
    Generator.objects.filter(slug="nearest-2").update(withdrawn_at=timezone.now())
    after = transfer_score(run)
    assert after.forgetting < before.forgetting - 0.05
    report = detector(world.succeeded[1].pk, None)
    assert after.forgetting == pytest.approx(report.transfer.forgetting)
