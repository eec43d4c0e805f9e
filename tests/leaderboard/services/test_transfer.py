from __future__ import annotations

from statistics import fmean

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


def test_a_window_that_is_withdrawn_as_a_whole_is_left_out(world: World) -> None:
    """The windows after it keep their numbers: the matrix has a row for every training there was."""
    run = world.succeeded[1].runs.get()
    Generator.objects.filter(windows__index=1).update(withdrawn_at=timezone.now())
    kept = transfer_score(run)
    assert None not in (kept.forgetting, kept.backward, kept.forward)
    report = detector(world.succeeded[1].pk, None)
    assert kept.forgetting == pytest.approx(report.transfer.forgetting)
    assert kept.backward == pytest.approx(report.transfer.backward)
    # By hand, from the windows that are left: 0 and 2 (3 is the last).
    means = [
        [
            fmean(c.value for c, g in zip(row, report.timeline.generators, strict=True) if g.window == j)
            for j in (0, 2, 3)
        ]
        for row in report.matrix
    ]
    assert kept.backward == pytest.approx(fmean([means[3][0] - means[0][0], means[3][1] - means[2][1]]))
