"""What has been built from the corpus, and can be built again."""

from __future__ import annotations

from django.db import models


class ArtifactKind(models.TextChoices):
    TRAIN = "train"
    FROZEN = "frozen"
    EVAL = "eval"
    THUMBNAILS = "thumbnails"


class Artifact(models.Model):
    """Objects of the store that were built together, under the hash of what they were built from.

    ``files`` are their store keys, in order. ``sources`` are the store keys of what it was built
    from: a window's training list, the lists of units, or a batch's shard. Deleting a row with its
    files only costs time.
    """

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10, choices=ArtifactKind.choices)
    sources = models.JSONField(default=list)
    files = models.JSONField()
    size_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.key
