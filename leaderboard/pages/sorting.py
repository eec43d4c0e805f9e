"""The headers of a board: links that sort it, without script."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboard.board import LESS_IS_BETTER
from leaderboard.selectors.selection import ORACLE, SORTABLE
from leaderboard.selectors.views import View


@dataclass(frozen=True)
class Column:
    """A header that sorts: ``query`` is that of the view that a click asks for."""

    key: str
    query: str
    aria_sort: str


@dataclass(frozen=True)
class Metric:
    """A column of the other metrics: the name of its average, its header, and what it means."""

    key: str
    label: str
    meaning: str

    @property
    def is_oracle(self) -> bool:
        return self.key == ORACLE


METRICS = (
    Metric("average_precision", "AP", "Average precision."),
    Metric(
        "balanced_accuracy", "Balanced", "Balanced accuracy: the mean of the next two, at the threshold ½."
    ),
    Metric("tnr", "Reals", "Accuracy on reals, at the threshold ½."),
    Metric("recall", "Fakes", "Accuracy on fakes, at the threshold ½."),
    Metric(
        "tpr_at_fpr_1",
        "TPR at 1 %",
        "Share of the fakes that are found when at most 1 % of the reals are called fake.",
    ),
    Metric("tpr_at_fpr_5", "TPR at 5 %", "The same at 5 %."),
    Metric(
        "equal_error_rate", "EER", "Equal error rate: where as many reals as fakes are taken for the other."
    ),
    Metric("brier", "Brier", "Mean squared error of the score as a probability."),
    Metric("calibration_error", "ECE", "Expected calibration error, over 15 bins of equal width."),
    Metric(
        "past_balanced_accuracy",
        "Balanced, past threshold",
        "Balanced accuracy with the threshold that is best on the windows trained on, as in use.",
    ),
    Metric(
        ORACLE,
        "Balanced, oracle",
        "Balanced accuracy with the threshold that is best on these very images. Nobody can know it, so it "
        "is shown to tell a bad threshold from bad scores, and never ranked.",
    ),
)


def columns(view: View, order: str, n_forecasts: int) -> dict[str, Column]:
    """The state of every sortable header of a board that is in ``order``. The best comes first."""
    keys = ["name", *SORTABLE, *(f"w{k + 1}" for k in range(n_forecasts))]
    return {key: _column(view, order, key) for key in keys}


def _column(view: View, order: str, key: str) -> Column:
    rises_first = key == "name" or SORTABLE.get(key) in LESS_IS_BETTER
    first, second = (key, f"-{key}") if rises_first else (f"-{key}", key)
    sorted_as = {f"-{key}": "descending", key: "ascending"}.get(order, "none")
    return Column(key, view.query(sort=second if order == first else first, page=1), sorted_as)
