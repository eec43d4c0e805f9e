"""What has been built from the corpus for containers, and can be built again."""

from __future__ import annotations

from django.db import models


class Artifact(models.Model):
    """Objects of the store that were built together, under the hash of what they were built from.

    ``files`` are their store keys, in order. Deleting a row with its files only costs time.
    """

    key = models.CharField(max_length=64, unique=True)
    files = models.JSONField()
    size_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.key
