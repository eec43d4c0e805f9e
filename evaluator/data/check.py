"""The whole check of a batch, whichever way it came: images, near duplicates, contact sheet, audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from evaluator.data.audit import shortcut_audit
from evaluator.data.contact_sheet import contact_sheet
from evaluator.data.ingest import Report, ingest
from evaluator.data.progress import Progress, part
from evaluator.data.sources import SourceFile
from leaderboard.models import Batch

# Shares of the whole at which the images are in, and the contact sheet is made.
_TAKEN = 0.75
_SHOWN = 0.78


@dataclass(frozen=True)
class Checked:
    """What is known of a batch before it is sealed."""

    report: Report
    audit: dict[str, Any]
    contact_sheet: str

    def write(self, batch: Batch) -> None:
        """Note the audit and the contact sheet; the report was written with the images."""
        batch.audit, batch.contact_sheet = self.audit, self.contact_sheet
        batch.save(update_fields=["audit", "contact_sheet"])


def check_images(
    batch: Batch,
    files: Iterable[SourceFile],
    *,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Checked | None:
    """Take in the images of ``files`` and look at them; None when ``should_stop`` said so.

    Repeating it is harmless. Raises what :func:`~evaluator.data.ingest.ingest` raises.
    """
    report = ingest(batch, files, progress=part(progress, 0.0, _TAKEN), should_stop=should_stop)
    if report is None:
        return None
    sheet = contact_sheet(batch, part(progress, _TAKEN, _SHOWN))
    if should_stop():
        return None
    audit = shortcut_audit(batch, part(progress, _SHOWN, 1.0))
    return Checked(report, audit, sheet)
