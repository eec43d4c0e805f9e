"""Boards as they were shown: immutable, so that what somebody cited can be read again."""

from __future__ import annotations

from django.db import models

from leaderboard.models.benchmarks import Benchmark, Edition


class Board(models.Model):
    """The public board of a benchmark from ``at`` until the next one is made.

    ``table`` is an Arrow file (``leaderboard.board``) and ``digest`` its SHA-256, the name under
    which it can be cited. A new row is made only when something that it shows has changed.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="boards")
    edition = models.ForeignKey(Edition, on_delete=models.CASCADE, related_name="boards")
    at = models.DateTimeField(auto_now_add=True)
    digest = models.CharField(max_length=64)
    n_rows = models.PositiveIntegerField()
    table = models.BinaryField()

    class Meta:
        ordering = ["benchmark", "-id"]
        indexes = [
            models.Index(fields=["benchmark", "-at"], name="board_at"),
            models.Index(fields=["benchmark", "digest"], name="board_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.benchmark} at {self.at:%Y-%m-%d %H:%M}"


class BoardTouch(models.Model):
    """Something that a board shows has changed since it was made.

    Rows are only ever added and taken away, so that no two transactions wait for each other.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="board_touches")
    at = models.DateTimeField(auto_now_add=True)
