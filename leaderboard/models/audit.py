"""What maintainers did: the log that nobody can change."""

from __future__ import annotations

from django.db import models


class Action(models.Model):
    """One action of a maintainer, or of the server on its own. A trigger refuses every update and delete.

    ``verb`` is a word of ``leaderboard.services.audit.Verb``; ``subject`` names what it was
    done to, as people write it; ``detail`` holds what differs (old and new values).
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=200)
    verb = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.actor}: {self.verb} {self.subject}"
