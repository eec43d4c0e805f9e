"""What a run kept and carried over, from its stored unit scores: forgetting and transfer."""

from __future__ import annotations

from dataclasses import asdict

from leaderboard.models import EditionUnit, Run, RunTransfer, UnitScore
from protocols.continual import transfer


def transfer_score(run: Run) -> RunTransfer:
    """Write the forgetting and the transfer of a run, from what it is scored on now.

    Over the closed windows of its edition and their generators that are not withdrawn.
    It may be called at any time and again: a measure that needs a score that is still
    missing is null.
    """
    unit_of = dict(
        EditionUnit.objects.filter(
            edition=run.edition_id, unit__generator__withdrawn_at__isnull=True
        ).values_list("unit__generator", "unit")
    )
    windows = [
        [unit_of[generator.pk] for generator in window.generators.all() if generator.pk in unit_of]
        for window in run.edition.windows.prefetch_related("generators")
    ]
    aurocs = {
        (window, unit): auroc
        for window, unit, auroc in UnitScore.objects.filter(run=run).values_list("window", "unit", "roc_auc")
    }
    kept = asdict(transfer(aurocs, windows))
    row, _ = RunTransfer.objects.update_or_create(run=run, defaults=kept)
    return row
