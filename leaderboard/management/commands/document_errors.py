"""``manage.py document_errors``: write docs/errors.md anew."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from leaderboard.api.catalogue import page


class Command(BaseCommand):
    help = "Write docs/errors.md from the catalogue of errors."

    def handle(self, *args: Any, **options: Any) -> None:
        (settings.ROOT / "docs" / "errors.md").write_text(page(), encoding="utf-8")
