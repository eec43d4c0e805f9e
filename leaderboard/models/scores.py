"""Predictions as they came, and the scores computed from them. A missing metric is null."""

from __future__ import annotations

from django.db import models

from leaderboard.models.benchmarks import Edition, Unit
from leaderboard.models.corpora import Generator
from leaderboard.models.submissions import Run, Step, Submission


class Prediction(models.Model):
    """The scores of one state on one unit: little-endian float64, in the order of the unit's manifest."""

    state_key = models.CharField(max_length=64)
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="predictions")
    scores = models.BinaryField()
    step = models.ForeignKey(Step, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["state_key", "unit"], name="prediction_once")]


class Metrics(models.Model):
    """The metrics of ``protocols.metrics``; ``roc_auc_variance`` is DeLong's."""

    roc_auc = models.FloatField(null=True)
    roc_auc_variance = models.FloatField(null=True)
    average_precision = models.FloatField(null=True)
    accuracy = models.FloatField(null=True)
    balanced_accuracy = models.FloatField(null=True)
    precision = models.FloatField(null=True)
    recall = models.FloatField(null=True)
    f1 = models.FloatField(null=True)
    tnr = models.FloatField(null=True)
    tpr_at_fpr_1 = models.FloatField(null=True)
    tpr_at_fpr_5 = models.FloatField(null=True)
    equal_error_rate = models.FloatField(null=True)
    brier = models.FloatField(null=True)
    calibration_error = models.FloatField(null=True)
    # The oracle: the threshold that these very images are told apart best with. Shown, never ranked.
    best_threshold = models.FloatField(null=True)
    best_balanced_accuracy = models.FloatField(null=True)
    tp = models.PositiveIntegerField()
    tn = models.PositiveIntegerField()
    fp = models.PositiveIntegerField()
    fn = models.PositiveIntegerField()

    class Meta:
        abstract = True


class PeriodScore(Metrics):
    """A run after training on ``window``, on one period (next, past, whole).

    ``past_…``: the period Next judged with the threshold that tells the Past of the same
    checkpoint apart best; null for the other periods.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="period_scores")
    window = models.PositiveSmallIntegerField()
    period = models.CharField(max_length=10)
    past_threshold = models.FloatField(null=True)
    past_balanced_accuracy = models.FloatField(null=True)
    past_tnr = models.FloatField(null=True)
    past_recall = models.FloatField(null=True)

    class Meta:
        ordering = ["run", "window", "period"]
        constraints = [models.UniqueConstraint(fields=["run", "window", "period"], name="period_score_once")]


class UnitScore(Metrics):
    """A run after training on ``window``, on one generator: an entry of the matrix R."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="unit_scores")
    window = models.PositiveSmallIntegerField()
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="unit_scores")

    class Meta:
        ordering = ["run", "window", "unit"]
        constraints = [models.UniqueConstraint(fields=["run", "window", "unit"], name="unit_score_once")]


class FirstContact(Metrics):
    """A detector's score on a generator before it could learn from it. It is written once, for good.

    It comes from the last checkpoint that was trained strictly before the generator's
    window, the first time that such a checkpoint is scored. A trigger of the database
    refuses every update and delete. ``prospective``: the detector's image was sealed before
    the generator's images were published.
    """

    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="first_contacts")
    seed = models.PositiveIntegerField()
    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="first_contacts")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="first_contacts")
    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="first_contacts")
    window = models.PositiveSmallIntegerField(help_text="The last window that had been trained on.")
    state_key = models.CharField(max_length=64)
    prospective = models.BooleanField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["submission", "seed", "generator"], name="first_contact_once")
        ]
        indexes = [
            # How a generator was met is told without reading the rows, which lie all over the table.
            models.Index(
                fields=["generator", "submission", "seed"],
                include=["roc_auc", "prospective", "at"],
                name="first_contact_of",
            )
        ]


class RunScore(models.Model):
    """The average over time of one period's AUROC, with its 95 % intervals.

    ``value`` averages the K-1 forecasts (null until all are there); ``paper_value`` is
    the paper-compatible mean over all K windows. ``low`` and ``high`` are over images,
    ``generators_low`` and ``generators_high`` over generators. ``means``: the averages of the
    other metrics by name, null where one of them is missing.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="scores")
    period = models.CharField(max_length=10)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    generators_low = models.FloatField(null=True)
    generators_high = models.FloatField(null=True)
    means = models.JSONField(default=dict, blank=True)
    paper_value = models.FloatField(null=True)
    n_windows = models.PositiveSmallIntegerField(help_text="Windows that the average is made of.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "period"], name="run_score_once")]


class RunTransfer(models.Model):
    """What a run kept and carried over (``protocols.continual``), over its closed windows.

    A measure that needs a score that is missing is null.
    """

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="transfer")
    forgetting = models.FloatField(null=True, help_text="Above 0: it forgot.")
    backward = models.FloatField(null=True, help_text="Below 0: later training hurt.")
    forward = models.FloatField(null=True, help_text="The next window above chance.")


class RunInfluence(models.Model):
    """What every image adds to a run's headline (``protocols.delong``), for paired tests.

    ``values``: little-endian float32, the images of ``units`` one unit after the other, each in
    the order of its manifest. Two runs compare where their ``units`` are the same.
    """

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="influence")
    units = models.JSONField()
    values = models.BinaryField()
    n_pairs = models.PositiveIntegerField(help_text="The smallest class of any set of the average.")
