"""Benchmarks: a protocol over a corpus, its editions (immutable timelines) and evaluation units."""

from __future__ import annotations

from dataclasses import asdict

from django.db import models

from leaderboard.models.corpora import Corpus, Generator
from protocols.contract import DEFAULT_BUDGETS, Budget, Phase


def default_budgets() -> dict[str, dict[str, float]]:
    """What a step may use unless the benchmark says otherwise (fields of ``protocols.contract.Budget``)."""
    return {phase.value: asdict(budget) for phase, budget in DEFAULT_BUDGETS.items()}


class TrainingMode(models.TextChoices):
    CUMULATIVE = "cumulative"
    CONTINUAL = "continual"


class Degradation(models.TextChoices):
    V1_COMPAT = "v1-compat"
    V2 = "v2"


class Closing(models.TextChoices):
    """What happens when the open window is full: training begins at once, or after a maintainer's word."""

    AUTOMATIC = "automatic"
    APPROVAL = "approval"


class Benchmark(models.Model):
    """A protocol with its parameters. The parameters never change once an edition exists."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="benchmarks")
    protocol_version = models.PositiveSmallIntegerField(default=1)
    generators_per_window = models.PositiveSmallIntegerField(default=4)
    training_mode = models.CharField(
        max_length=20, choices=TrainingMode.choices, default=TrainingMode.CUMULATIVE
    )
    degradation = models.CharField(max_length=20, choices=Degradation.choices, default=Degradation.V2)
    closing = models.CharField(max_length=20, choices=Closing.choices, default=Closing.AUTOMATIC)
    seed = models.PositiveIntegerField(
        default=1337, help_text="Seed of real allocation; others derive from it."
    )
    budgets = models.JSONField(default=default_budgets)
    shares_scores = models.BooleanField(
        default=False,
        help_text="Everybody may download the scores of single images, without their ids. Only for "
        "evaluation images that no detector is scored on any more: see docs/decisions/0013.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="benchmark_window_size", condition=models.Q(generators_per_window__gte=1)
            )
        ]

    def budget(self, phase: Phase) -> Budget:
        return Budget(**self.budgets[phase])

    @property
    def is_continual(self) -> bool:
        return self.training_mode == TrainingMode.CONTINUAL

    @property
    def gpus(self) -> int:
        """How many GPUs a worker needs for every phase."""
        return max(self.budget(phase).gpus for phase in Phase)

    def __str__(self) -> str:
        return self.slug


class Edition(models.Model):
    """An immutable timeline: the ordered, closed windows of a benchmark.

    ``frontier`` is the newest release date of its closed windows on the day it was made: what is
    newer stands in the open window. ``units`` are what its runs are scored on; those of newcomers
    join until the next edition is opened. An edition that waits for a maintainer's approval is not
    opened yet: nothing runs on it and nobody sees its (empty) board. It is settled once all runs
    that it began with have ended; until then the board shows the edition before. ``budget_s`` bounds
    the container seconds that training on it may take altogether, ``spent_s`` is what was taken.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="editions")
    number = models.PositiveIntegerField()
    manifest_hash = models.CharField(max_length=64)
    frontier = models.DateField()
    units: models.ManyToManyField[Unit, EditionUnit] = models.ManyToManyField(
        "Unit", through="EditionUnit", related_name="editions"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    budget_s = models.PositiveBigIntegerField(null=True, blank=True)
    spent_s = models.FloatField(default=0.0)

    class Meta:
        ordering = ["benchmark", "number"]
        constraints = [models.UniqueConstraint(fields=["benchmark", "number"], name="edition_number")]

    def __str__(self) -> str:
        return f"{self.benchmark.slug} edition {self.number}"


class Window(models.Model):
    """A closed window. ``manifest`` is the store key of its list of training images."""

    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="windows")
    index = models.PositiveSmallIntegerField()
    generators = models.ManyToManyField(Generator, related_name="windows")
    manifest = models.CharField(max_length=64)
    n_images = models.PositiveIntegerField()

    class Meta:
        ordering = ["edition", "index"]
        constraints = [models.UniqueConstraint(fields=["edition", "index"], name="window_index")]

    def __str__(self) -> str:
        return f"{self.edition} window {self.index}"


class Unit(models.Model):
    """A generator's evaluation fakes with the reals paired with them.

    It never changes. When a generator is published again with more images, the next edition
    that is cut anew scores on a unit of a higher ``version``. ``manifest`` is the store key of
    the list: the order of its images (fakes, then reals) is the order of every stored score array.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="units")
    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="units")
    version = models.PositiveSmallIntegerField(default=1)
    manifest = models.CharField(max_length=64)
    n_fakes = models.PositiveIntegerField()
    n_reals = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["generator__release_date", "generator__slug"]
        constraints = [
            models.UniqueConstraint(fields=["benchmark", "generator", "version"], name="unit_version")
        ]

    def __str__(self) -> str:
        return f"{self.benchmark.slug}/{self.generator.slug}"


class EditionUnit(models.Model):
    """A unit that the runs of an edition are scored on, since when."""

    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="members")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="memberships")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "unit"], name="edition_unit_once")]
