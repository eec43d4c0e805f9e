"""The workers that are, or were, there."""

from __future__ import annotations

from django.db import models


class WorkerBeat(models.Model):
    """The last sign of life of a worker, under its name."""

    name = models.CharField(max_length=200, unique=True)
    gpus = models.JSONField(default=list)
    takes = models.JSONField(default=list, help_text="The kinds of work that it takes.")
    engine = models.CharField(max_length=120, blank=True, help_text="The container engine and its version.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When it said that it ends.")
    problem = models.TextField(blank=True, help_text="Why it can't take work at present.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
