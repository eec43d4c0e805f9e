"""Scoring a dump of predictions and showing the result as JSON or as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from protocols.evaluation import Average, PastThreshold, PeriodResult, average_over_time, evaluate_step
from protocols.periods import MECHANISMS, Period
from tidemark.dump import Dump

TITLES = {
    Period.NEXT: "Next: the window after",
    Period.PAST: "Past: every window so far",
    Period.WHOLE: "Whole: every window so far and the one after",
    Period.BEFORE: "Before: every window but the newest",
    Period.ALL: "All windows",
}
COLUMNS = {
    "roc_auc": "AUROC",
    "average_precision": "AP",
    "accuracy": "Acc.",
    "balanced_accuracy": "B.acc.",
    "precision": "Prec.",
    "recall": "Recall",
    "f1": "F1",
    "tnr": "TNR",
}


@dataclass(frozen=True)
class Report:
    """``results`` by window and period, as the official script defines them; both averages over time."""

    n_windows: int
    results: Mapping[int, Mapping[Period, PeriodResult]]
    headline: Mapping[Period, Average]
    paper_compatible: Mapping[Period, Average]


def score(dump: Dump) -> Report:
    """Every window × period of ``dump``, and the averages over time."""
    n = dump.n_windows
    results = {
        k: evaluate_step(dump.labels, scores, dump.window_of, k, n, paper_compatible=True)
        for k, scores in dump.scores.items()
    }
    return Report(
        n_windows=n,
        results=results,
        headline={period: average_over_time(results, period, n) for period in Period},
        paper_compatible={
            period: average_over_time(results, period, n, paper_compatible=True) for period in Period
        },
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report with the official mechanism names; undefined is null.

    ``average_over_time.headline`` averages the K-1 windows that have a next one,
    ``paper_compatible`` all K, as the official script prints.
    """
    return {
        "rows": [
            {"window": k, "mechanism": MECHANISMS[period], "result": _result_as_json(period, result)}
            for k, by_period in report.results.items()
            for period, result in by_period.items()
        ],
        "average_over_time": {
            name: {MECHANISMS[period]: _average_as_json(average) for period, average in averages.items()}
            for name, averages in (
                ("headline", report.headline),
                ("paper_compatible", report.paper_compatible),
            )
        },
    }


def _result_as_json(period: Period, result: PeriodResult) -> dict[str, Any]:
    if period != Period.NEXT:
        return asdict(result.metrics)
    past = asdict(result.past) if result.past else dict.fromkeys(each.name for each in fields(PastThreshold))
    return asdict(result.metrics) | past


def _average_as_json(average: Average) -> dict[str, Any]:
    bounds = average.interval
    return {
        "windows": list(average.steps),
        **average.means,
        "roc_auc_low": bounds.low if bounds else None,
        "roc_auc_high": bounds.high if bounds else None,
    }


def print_report(report: Report, console: Console) -> None:
    """A table for every period, then the headline. Figures in per cent."""
    last = report.n_windows - 1
    for period in Period:
        table = Table(title=f"{TITLES[period]} ({MECHANISMS[period]})", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("Window")
        for heading in (*COLUMNS.values(), "Reals", "Fakes"):
            table.add_column(heading, justify="right")
        for k, by_period in report.results.items():
            metrics = by_period[period].metrics
            mark = "*" if (period, k) == (Period.NEXT, last) else ""
            cells = [_percent(getattr(metrics, name)) for name in COLUMNS]
            table.add_row(f"{k}{mark}", *cells, str(metrics.n_real_images), str(metrics.n_fake_images))
        table.add_section()
        for average in (report.headline[period], report.paper_compatible[period]):
            table.add_row(_steps(average), *[_percent(average.means[name]) for name in COLUMNS])
        console.print(table)
    console.print("* The last window has no next one; as in the official script it is scored on itself.")
    steps = _steps(report.headline[Period.NEXT])
    console.print(f"\nAverage over time of AUROC (headline, {steps}), 95 % interval over images:")
    for period in (Period.NEXT, Period.PAST, Period.WHOLE):
        average, paper = report.headline[period], report.paper_compatible[period]
        bounds = average.interval
        interval = f" [{_percent(bounds.low)}, {_percent(bounds.high)}]" if bounds else ""
        console.print(
            f"  {period.title():5} {_percent(average.means['roc_auc'])}{interval}"
            f"   paper-compatible ({_steps(paper)}): {_percent(paper.means['roc_auc'])}",
            markup=False,
            highlight=False,
        )


def _steps(average: Average) -> str:
    if not average.steps:
        return "mean"
    return f"mean {average.steps[0]}–{average.steps[-1]}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"
