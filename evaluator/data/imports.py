"""Bringing batches into a corpus from this machine, without an upload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from evaluator.data.check import check_images
from evaluator.data.ingest import Report
from evaluator.data.progress import Progress
from evaluator.data.sources import SourceFile
from leaderboard.models import Batch, Corpus, Generator
from leaderboard.services.corpora import batch_create, batch_reject, batch_seal
from leaderboard.services.leases import check_start
from leaderboard.services.publication import batch_publish, needs_reason
from protocols.errors import DataError, RequestError
from protocols.states import BatchState

ACTOR = "import"

_DONE = (BatchState.SEALED, BatchState.PUBLISHED)


@dataclass(frozen=True)
class Origin:
    """What a batch is to be of: a generator, or else a real source; ``files`` reads its images."""

    corpus: Corpus
    generator: Generator | None
    real_source: str
    files: Callable[[], Iterable[SourceFile]]

    @property
    def name(self) -> str:
        return self.generator.slug if self.generator else self.real_source

    def batch(self, *states: BatchState) -> Batch | None:
        """The newest batch of this origin in one of these states."""
        found = Batch.objects.filter(
            corpus=self.corpus, generator=self.generator, real_source=self.real_source, state__in=states
        )
        return found.order_by("-created_at").first()


@dataclass(frozen=True)
class Imported:
    """What became of one origin: ``report`` is None where its images were there already."""

    origin: str
    report: Report | None
    published: bool
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def import_origin(origin: Origin, *, publish: bool, reason: str, progress: Progress) -> Imported:
    """Take in the images of one origin, seal them and, if asked, publish them.

    ``reason`` is what readers see where the shortcut audit is beyond its bound; without one such a
    batch is left sealed. An origin that has a sealed or published batch keeps it. One whose import
    was cut off is imported again into the same batch. Where no image can be used, the batch is
    rejected.
    """
    batch = origin.batch(*_DONE)
    report = None
    if batch is None:
        # Until it is complete the batch stays in its first state, in which no worker looks at it.
        batch = _unfinished(origin) or batch_create(
            corpus=origin.corpus, generator=origin.generator, real_source=origin.real_source
        )
        try:
            checked = check_images(batch, origin.files(), progress=progress, should_stop=lambda: False)
        except DataError as error:
            batch_reject(batch, error, actor=ACTOR)
            return Imported(origin.name, Report.from_json(batch.report), published=False, error=str(error))
        assert checked is not None, "nothing stops it"
        report = checked.report
        with transaction.atomic():
            check_start(batch, ACTOR)
            checked.write(batch)
            batch_seal(batch, actor=ACTOR)
    newly_published = publish and batch.state == BatchState.SEALED
    if newly_published:
        try:
            batch_publish(batch, actor=ACTOR, reason=reason if needs_reason(batch.audit) else "")
        except RequestError as error:
            if error.code != "reason_required":
                raise
            return Imported(origin.name, report, published=False, error=str(error))
    return Imported(origin.name, report, published=newly_published)


def summary(imported: Sequence[Imported], corpus: Corpus) -> list[str]:
    """What people read after an import: a line an origin, and why files were rejected."""
    new = [done for done in imported if done.report is not None]
    lines = []
    for done in new:
        report = done.report
        assert report is not None
        line = f"{done.origin}: {report.n_train} for training, {report.n_eval} for evaluation"
        if report.n_rejected:
            line += ", rejected " + ", ".join(f"{n} {code}" for code, n in sorted(report.n_rejected.items()))
        if report.n_near_duplicates:
            line += f", {report.n_near_duplicates} near duplicates (kept)"
        lines.append(line)
        lines += [f"  {r.name}: {r.code}: {r.detail}" for r in report.rejected]
    n_published = sum(done.published for done in imported)
    n_failed = sum(bool(done.error) for done in imported)
    n_known = len(imported) - len(new)
    lines.append(
        f"{corpus.slug}: {len(new) - n_failed} batches imported, {n_known} there already,"
        f" {n_failed} failed, {n_published} published."
    )
    if not new:
        lines.append("Nothing to import.")
    return lines


def _unfinished(origin: Origin) -> Batch | None:
    """A batch that an import left behind when it was cut off; uploads have an owner."""
    batch = origin.batch(BatchState.UPLOADING)
    return batch if batch is not None and batch.created_by_id is None else None
