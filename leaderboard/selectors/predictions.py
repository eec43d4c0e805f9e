"""Stored predictions as arrays, for what is drawn and compared of single checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from leaderboard.models import Prediction
from protocols.delong import Auroc, delong_of
from protocols.scores import ScoredImages, TieGroups


@dataclass(frozen=True)
class UnitScores:
    """The scores of one state on one unit [n images], its fakes before its reals."""

    scores: NDArray[np.float64]
    n_fakes: int

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 for a fake, 0 for a real [n images]."""
        return (np.arange(len(self.scores)) < self.n_fakes).astype(np.int8)

    def auroc(self) -> Auroc | None:
        """With what it owes to each image, for paired tests on the same unit."""
        return delong_of(ScoredImages(self.labels, self.scores).groups())


def unit_scores(wanted: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], UnitScores]:
    """What is stored of ``wanted``, the ids of units by the key of a state, by (key, unit id). One query."""
    asked = Q(pk__in=[])
    for key, units in wanted.items():
        asked |= Q(state_key=key, unit__in=list(units))
    rows = Prediction.objects.filter(asked).order_by("unit_id")
    return {
        (key, unit): UnitScores(np.frombuffer(scores, dtype="<f8"), n_fakes)
        for key, unit, scores, n_fakes in rows.values_list("state_key", "unit_id", "scores", "unit__n_fakes")
    }


def tie_groups(units: Iterable[UnitScores]) -> TieGroups:
    """Several units as one set, sorted."""
    found = list(units)
    labels = [unit.labels for unit in found] or [np.empty(0, dtype=np.int8)]
    scores = [unit.scores for unit in found] or [np.empty(0)]
    return ScoredImages(np.concatenate(labels), np.concatenate(scores)).groups()
