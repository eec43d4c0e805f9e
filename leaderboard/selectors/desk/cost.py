"""What the detectors of each owner took: container seconds, GPU seconds and money."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, F, FloatField, Q, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone

from leaderboard.models import Benchmark, Step
from leaderboard.selectors.steps import CONTAINER
from protocols.contract import Phase

HOUR_S = 3600
# What a step's container took, as a column.
CONTAINER_S = Cast(KeyTextTransform(CONTAINER, "timings"), FloatField())


@dataclass(frozen=True)
class Cost:
    """``cpu_s`` and ``gpu_s``: container seconds times the CPUs and GPUs that the benchmark grants."""

    n_steps: int = 0
    container_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.n_steps + other.n_steps,
            self.container_s + other.container_s,
            self.cpu_s + other.cpu_s,
            self.gpu_s + other.gpu_s,
        )

    @property
    def money(self) -> float | None:
        """By the prices of the settings; ``None`` where none is set."""
        if not has_prices():
            return None
        return float(self.cpu_s * settings.CPU_HOUR_COST + self.gpu_s * settings.GPU_HOUR_COST) / HOUR_S


@dataclass(frozen=True)
class CostRow:
    owner: str
    month: Cost
    total: Cost


@dataclass(frozen=True)
class CostReport:
    """``month_from``: the first moment of this month. ``currency`` is empty where no price is set."""

    month_from: datetime
    currency: str
    rows: tuple[CostRow, ...]

    @property
    def month(self) -> Cost:
        return sum((row.month for row in self.rows), Cost())

    @property
    def total(self) -> Cost:
        return sum((row.total for row in self.rows), Cost())


def has_prices() -> bool:
    return bool(settings.CPU_HOUR_COST or settings.GPU_HOUR_COST)


def cost_report() -> CostReport:
    """What each owner's ended steps took, dearest in this month first. Two queries.

    A step that took another's result has cost nothing, and an attempt that the platform
    spoilt is nobody's: only the container of the attempt that ended the step counts.
    """
    month_from = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    this_month = Q(finished_at__gte=month_from)
    sums = (
        Step.objects.filter(timings__has_key=CONTAINER)
        .order_by()
        .values(
            "phase",
            "gpus",
            owner=F("run__submission__team__slug"),
            benchmark=F("run__edition__benchmark"),
        )
        .annotate(
            n=Count("id"),
            n_month=Count("id", filter=this_month),
            total=Sum(CONTAINER_S),
            month=Sum(CONTAINER_S, filter=this_month),
        )
    )
    budgets = dict(Benchmark.objects.values_list("pk", "budgets"))
    months: dict[str, Cost] = defaultdict(Cost)
    totals: dict[str, Cost] = defaultdict(Cost)
    for row in sums:
        cpus = float(budgets[row["benchmark"]][Phase(row["phase"]).value]["cpus"])
        for costs, n, taken in (
            (totals, row["n"], row["total"] or 0.0),
            (months, row["n_month"], row["month"] or 0.0),
        ):
            costs[row["owner"]] += Cost(n, taken, taken * cpus, taken * row["gpus"])
    rows = [CostRow(owner, months[owner], total) for owner, total in totals.items()]
    rows.sort(key=lambda row: (-row.month.container_s, -row.total.container_s, row.owner))
    return CostReport(month_from, settings.CURRENCY if has_prices() else "", tuple(rows))
