"""The check of an uploaded batch of images."""

from __future__ import annotations

from django.db import transaction

from evaluator.data.archive import archive_files
from evaluator.data.check import check_images
from evaluator.lease import Lease, with_database
from leaderboard.models import Batch
from leaderboard.services.corpora import batch_seal
from leaderboard.services.leases import fence
from leaderboard.services.uploads import upload_delete
from protocols.errors import PlatformError


def check_batch(batch: Batch, lease: Lease[Batch]) -> None:
    """Decode, store and examine the images of the upload, and seal the batch.

    Raises ``DataError`` (``batch_*``) when nothing usable is in it.
    """
    upload = batch.upload
    if upload is None:
        raise PlatformError("staging_failed", f"The upload of batch {batch.pk} is gone.")

    def progress(share: float, activity: str) -> None:
        # Between two steps of the work is where it can stop.
        lease.check()
        lease.report(share, activity)

    checked = check_images(
        batch,
        archive_files(upload.path),
        progress=progress,
        should_stop=lambda: lease.stop_reason() is not None,
    )
    lease.check()
    assert checked is not None, "it only stops when it has to"

    def seal() -> None:
        with transaction.atomic():
            fence(batch)
            checked.write(batch)
            batch_seal(batch)

    with_database(seal)
    with_database(lambda: upload_delete(upload))
