"""Uploads, submissions, runs, steps, checkpoints and the events of their lives."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models

from leaderboard.models.accounts import Membership, Team
from leaderboard.models.base import Faulty, Leased, choices, state_constraint
from leaderboard.models.benchmarks import Benchmark, Edition, Unit
from protocols.contract import Phase
from protocols.states import RunState, StepState, SubmissionState

# A client that is at work sends something more often than this.
STALLED_S = 20.0


class Upload(models.Model):
    """A resumable upload (tus 1.0). The file lies under ``HOME/uploads`` until something takes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    team = models.ForeignKey(
        Team,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="uploads",
        help_text="Whose quota it counts against; none for a maintainer's batch.",
    )
    filename = models.CharField(max_length=255, blank=True)
    metadata = models.TextField(blank=True, help_text="Upload-Metadata, word for word as its client sent it.")
    length = models.PositiveBigIntegerField(help_text="Bytes declared.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of all bytes, once they are there.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]

    @staticmethod
    def folder() -> Path:
        return Path(settings.HOME) / "uploads"

    @property
    def path(self) -> Path:
        return self.folder() / str(self.id)

    @property
    def mark(self) -> Path:
        """Lies beside the file while bytes come that a checksum is to vouch for: the offset before them."""
        return self.path.with_suffix(".mark")

    @property
    def offset(self) -> int:
        """Bytes received. The file is the truth: it survives a server that is killed in mid-request.

        Bytes that wait for their checksum do not count. The size is read before and after the mark,
        so that bytes which are refused between the two do not count either.
        """
        before = _size(self.path)
        try:
            mark = self.mark.read_text()
        except FileNotFoundError:
            return min(before, _size(self.path))
        # An empty mark is about to be written, before any byte is.
        return min(before, int(mark)) if mark else before

    @property
    def is_complete(self) -> bool:
        return self.offset == self.length

    @property
    def is_stalled(self) -> bool:
        """Whether bytes are missing and none came of late: its client was closed or lost the server."""
        try:
            idle_s = time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            return True
        return idle_s > STALLED_S and not self.is_complete


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Visibility(models.TextChoices):
    PUBLIC = "public"
    PRIVATE = "private"


def teams_of(user: Any) -> models.QuerySet[Membership, int]:
    """The ids of the user's teams, as a subquery."""
    return Membership.objects.filter(user=user).values_list("team_id", flat=True)


class NullRow(models.TextChoices):
    """A row that the server makes itself, for others to be read against; shown, never ranked."""

    CONSTANT = "constant"
    METADATA = "metadata"


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def visible_to(self, user: object) -> SubmissionQuerySet:
        """What ``user`` may see: public entries that were ever accepted, their teams', or all."""
        if getattr(user, "is_maintainer", False):
            return self
        public = models.Q(visibility=Visibility.PUBLIC, accepted_at__isnull=False)
        if getattr(user, "is_authenticated", False):
            return self.filter(public | models.Q(team__in=teams_of(user)))
        return self.filter(public)

    def entered(self) -> SubmissionQuerySet:
        """What stands on a board: accepted entries, and withdrawn ones, whose published scores stay."""
        return self.filter(accepted_at__isnull=False)

    def of(self, user: object) -> SubmissionQuerySet:
        """What ``user``'s teams entered."""
        return self.filter(team__in=teams_of(user))


class Submission(Leased, Faulty):
    """A detector container entered for a benchmark."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="submissions",
        help_text="Who entered it.",
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="submissions")
    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="submissions")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    paper_url = models.URLField(blank=True)
    code_url = models.URLField(blank=True)
    declared_cutoff = models.DateField(
        null=True, blank=True, help_text="Newest data that pretraining may have seen."
    )
    visibility = models.CharField(max_length=10, choices=Visibility.choices, default=Visibility.PUBLIC)
    null_row = models.CharField(max_length=10, choices=NullRow.choices, blank=True, editable=False)
    state = models.CharField(max_length=20, choices=choices(SubmissionState), default=SubmissionState.DRAFT)
    seed = models.PositiveIntegerField(default=0)
    upload = models.OneToOneField(
        Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="submission"
    )
    archive = models.CharField(
        max_length=64,
        blank=True,
        help_text="Store key of the image archive, its SHA-256; empty when deleted.",
    )
    archive_bytes = models.PositiveBigIntegerField(default=0)
    image_id = models.CharField(max_length=71, blank=True, help_text="sha256: of the image's config.")
    image_bytes = models.PositiveBigIntegerField(default=0)
    phases = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sealed_at = models.DateTimeField(null=True, blank=True, help_text="When its archive was whole.")
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            state_constraint("submission_state", SubmissionState),
            models.UniqueConstraint(
                fields=["team", "benchmark", "name"],
                condition=~models.Q(state__in=["rejected", "withdrawn"]),
                name="submission_name_per_team",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DeletedEntry(models.Model):
    """An entry that was handed in and is gone wholly. For a day it counts towards its team's quota."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="deleted_entries")
    sealed_at = models.DateTimeField(db_index=True)


class Trial(Faulty):
    """One phase of a submission's trial run on public sample images, with all that it printed."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="trials")
    phase = models.CharField(max_length=10, choices=choices(Phase))
    seconds = models.FloatField()
    peak_memory_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    log = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["submission", "-phase"]
        constraints = [models.UniqueConstraint(fields=["submission", "phase"], name="trial_once")]


class Run(Faulty):
    """A submission on an edition with a seed."""

    submission = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="runs")
    edition = models.ForeignKey(Edition, on_delete=models.PROTECT, related_name="runs")
    seed = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=choices(RunState), default=RunState.QUEUED)
    cancel_requested = models.BooleanField(default=False)
    stale_since = models.DateTimeField(
        null=True, blank=True, help_text="Its scores are to be computed anew from the stored predictions."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            state_constraint("run_state", RunState),
            models.UniqueConstraint(fields=["submission", "edition", "seed"], name="run_once"),
        ]

    def __str__(self) -> str:
        return f"{self.submission.name} on {self.edition}, seed {self.seed}"


class Checkpoint(models.Model):
    """What a training step left behind, under the key of the step that made it.

    ``state_hash`` is the store key of the snapshot's list of files, so two equal states
    have the same hash whoever made them.
    """

    key = models.CharField(max_length=64, unique=True)
    state_hash = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class Step(Leased, Faulty):
    """Training or prediction at one window of a run.

    With a ``unit`` it is the first contact of a finished checkpoint with a generator that
    arrived later: it predicts that unit alone, goes before all else in the queue, and its
    failure is not the run's. Without one, a prediction covers all units of the edition.
    ``key`` is known once the step is ready (its parent's state is then known).
    ``timings`` holds seconds by part: prepare, stage, create, container, collect, score.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    phase = models.CharField(max_length=10, choices=choices(Phase))
    window = models.PositiveSmallIntegerField()
    unit = models.ForeignKey(Unit, null=True, blank=True, on_delete=models.PROTECT, related_name="steps")
    state = models.CharField(max_length=20, choices=choices(StepState), default=StepState.WAITING)
    key = models.CharField(max_length=64, blank=True, db_index=True)
    # For training: the state it left. For prediction: the state it scores.
    state_hash = models.CharField(max_length=64, blank=True)
    gpus = models.PositiveSmallIntegerField(default=0)
    reused = models.BooleanField(default=False, help_text="The result was there already; no container ran.")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    timings = models.JSONField(default=dict, blank=True)
    log_tail = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "window", "-phase", models.F("unit_id").asc(nulls_first=True)]
        constraints = [
            state_constraint("step_state", StepState),
            models.UniqueConstraint(
                fields=["run", "phase", "window", "unit"], nulls_distinct=False, name="step_once"
            ),
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(state="running"), name="step_key_runs_once"
            ),
        ]
        indexes = [
            models.Index(fields=["ready_at", "id"], condition=models.Q(state="ready"), name="step_queue"),
            models.Index(
                fields=["lease_expires_at"], condition=models.Q(state="running"), name="step_leases"
            ),
        ]

    def __str__(self) -> str:
        met = f", {self.unit.generator}" if self.unit else ""
        return f"{self.phase} {self.window}{met} of run {self.run_id}"


class Event(models.Model):
    """One move of one thing from a state to the next, with who did it and why."""

    submission = models.ForeignKey(Submission, null=True, on_delete=models.CASCADE, related_name="events")
    batch = models.ForeignKey("Batch", null=True, on_delete=models.CASCADE, related_name="events")
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="events")
    step = models.ForeignKey(Step, null=True, on_delete=models.CASCADE, related_name="events")
    old = models.CharField(max_length=20)
    new = models.CharField(max_length=20)
    actor = models.CharField(
        max_length=200, blank=True, help_text="A user name, a worker's name or 'server'."
    )
    reason = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="event_has_one_subject",
                condition=models.Q(
                    submission__isnull=False, batch__isnull=True, run__isnull=True, step__isnull=True
                )
                | models.Q(submission__isnull=True, batch__isnull=False, run__isnull=True, step__isnull=True)
                | models.Q(submission__isnull=True, batch__isnull=True, run__isnull=False, step__isnull=True)
                | models.Q(submission__isnull=True, batch__isnull=True, run__isnull=True, step__isnull=False),
            )
        ]
