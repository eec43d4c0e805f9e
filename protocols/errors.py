"""The one catalogue of everything that can go wrong, and whose fault it is.

A fault has an owner (the participant, the platform, the maintainer or the caller of
the API), a stable code, a sentence that says what is wrong and a fix that says what
to do. Codes are part of the API: they are added, never renamed. ``docs/errors.md`` is
written from this catalogue and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    PARTICIPANT = "participant"
    PLATFORM = "platform"
    MAINTAINER = "maintainer"
    CALLER = "caller"


@dataclass(frozen=True)
class ErrorEntry:
    """One catalogue row: ``what`` is wrong in a sentence, ``fix`` is what to do about it."""

    code: str
    owner: Owner
    what: str
    fix: str


CATALOGUE: dict[str, ErrorEntry] = {}


def _add(owner: Owner, code: str, what: str, fix: str) -> None:
    CATALOGUE[code] = ErrorEntry(code, owner, what, fix)


# The container's own behaviour, in a training or a predict step.
_P = Owner.PARTICIPANT
_add(
    _P,
    "container_exit",
    "The container ended with a non-zero exit code.",
    "Run it on sample data and read the last lines of its output.",
)
_add(
    _P,
    "container_oom",
    "The container needed more memory than the benchmark grants.",
    "Use smaller batches or fewer data-loader workers.",
)
_add(
    _P,
    "container_timeout",
    "The container ran longer than the benchmark grants and was killed.",
    "Train for fewer steps; the limit is in /bench/request.json.",
)
_add(
    _P,
    "container_start",
    "The container's entry point could not be started.",
    "Check the image's ENTRYPOINT, its architecture (linux/amd64) and its file permissions.",
)
_add(
    _P,
    "log_flood",
    "The container wrote more to its output than the benchmark grants.",
    "Print progress, not data.",
)
_add(
    _P,
    "output_too_large",
    "The container wrote more to /bench/output than the benchmark grants.",
    "Write only predictions.csv and a small metrics.jsonl.",
)
_add(
    _P,
    "state_too_large",
    "The container left more in /bench/state than the benchmark grants.",
    "Keep one checkpoint and drop optimiser states.",
)
_add(
    _P,
    "state_irregular",
    "/bench/state holds something else than plain files and folders.",
    "Remove links, pipes, sockets and devices from /bench/state.",
)
_add(
    _P,
    "output_irregular",
    "/bench/output holds something else than plain files and folders.",
    "Write predictions.csv as a plain file.",
)
_add(
    _P,
    "state_missing",
    "The container deleted the state that training had left.",
    "Leave in /bench/state what the next window and the predict phase need.",
)
_add(
    _P,
    "predictions_missing",
    "There is no /bench/output/predictions.csv.",
    "Write one row for every image in /bench/eval.",
)
_add(_P, "predictions_encoding", "predictions.csv is not UTF-8.", "Write plain ASCII or UTF-8.")
_add(
    _P,
    "predictions_header",
    "predictions.csv does not begin with the line image_id,score.",
    "Write the header image_id,score.",
)
_add(
    _P,
    "predictions_malformed",
    "A row of predictions.csv is not an image_id and a number.",
    "Write image_id,score with one row an image.",
)
_add(
    _P,
    "predictions_too_many",
    "predictions.csv has more rows than there are images.",
    "Write one row for every image in /bench/eval.",
)
_add(
    _P,
    "predictions_incomplete",
    "predictions.csv misses images.",
    "Write one row for every image in /bench/eval.",
)
_add(
    _P,
    "predictions_duplicate",
    "predictions.csv names an image twice.",
    "Write one row for every image in /bench/eval.",
)
_add(
    _P,
    "predictions_unknown",
    "predictions.csv names an image that is not in /bench/eval.",
    "Copy image_id from the dataset as it is.",
)
_add(_P, "predictions_nan", "A score is not a finite number.", "Check for divisions by zero and overflow.")
_add(_P, "predictions_range", "A score is outside [0, 1].", "Apply a sigmoid to logits.")

# The image archive.
_add(
    _P,
    "archive_unreadable",
    "The archive is not a readable docker or OCI archive.",
    "Make it with `docker save IMAGE -o FILE` or `podman save IMAGE -o FILE`.",
)
_add(
    _P,
    "archive_unsafe",
    "The archive holds something that no image needs (link, device, path outside, sparse file).",
    "Make it with `docker save` or `podman save`.",
)
_add(
    _P,
    "archive_too_large",
    "The archive unpacks to more than the server accepts.",
    "Use a smaller base image and remove caches.",
)
_add(
    _P,
    "archive_bomb",
    "The archive unpacks to far more than its size.",
    "Remove files of zeros (preallocated, sparse) from the image, or make them when the container runs.",
)
_add(
    _P,
    "archive_images",
    "The archive does not hold exactly one image.",
    "Save one image by its name, built for linux/amd64 alone.",
)
_add(
    _P,
    "archive_digest",
    "A digest in the archive does not match its content.",
    "Save and upload the image again.",
)
_add(_P, "archive_platform", "The image is not for linux/amd64.", "Build it with --platform linux/amd64.")
_add(_P, "archive_entrypoint", "The image has no ENTRYPOINT.", "Give it one that takes `train` or `predict`.")
_add(
    _P,
    "archive_labels",
    "The image does not carry the labels of the container contract.",
    "Add LABEL io.tidemark.contract=1 and io.tidemark.phases=train,predict (or predict).",
)
_add(
    _P,
    "archive_volumes",
    "The image declares volumes, which the sandbox does not give.",
    "Remove VOLUME from the Dockerfile, or build on a base image without it.",
)

# The platform.
_F = Owner.PLATFORM
_add(
    _F,
    "engine_unavailable",
    "The worker's container engine does not answer.",
    "Nothing to do for participants; the step is tried again.",
)
_add(
    _F,
    "engine_error",
    "The worker's container engine failed.",
    "Nothing to do for participants; the step is tried again.",
)
_add(
    _F,
    "image_digest",
    "The engine loaded another image than the one that was checked.",
    "Nothing to do for participants; maintainers read docs/operate.md.",
)
_add(
    _F,
    "staging_failed",
    "The data for a step could not be put in place.",
    "Nothing to do for participants; the step is tried again.",
)
_add(
    _F,
    "lease_lost",
    "The worker lost its claim on the step, and another may hold it.",
    "Nothing to do; the step goes on elsewhere.",
)
_add(
    _F,
    "worker_lost",
    "The worker died or lost contact in the middle of a step.",
    "Nothing to do; the step is tried again.",
)
_add(
    _F,
    "attempts_exhausted",
    "The platform failed at the same step too often.",
    "Maintainers read the worker's log; participants keep their quota.",
)
_add(
    _F,
    "internal",
    "The platform has a defect.",
    "Nothing to do for participants; the step is tried again, and maintainers find the trace in the log.",
)
_add(_F, "storage_full", "The server has no room left.", "Maintainers free storage; try again later.")

# Data that maintainers bring in.
_M = Owner.MAINTAINER
_add(
    _M,
    "corpus_layout",
    "The folder is not a corpus.",
    "See docs/data.md for the layout of a corpus folder.",
)
_add(_M, "corpus_row", "A row of generators.csv is wrong.", "Correct the row that the message names.")
_add(
    _M,
    "batch_archive",
    "The batch archive is not a readable zip or tar of images.",
    "Pack images under train/ and eval/ (or flat) in a zip or tar.",
)
_add(
    _M,
    "batch_dataset",
    "A saved dataset in the batch can't be read, or holds no images.",
    "Save it with `save_to_disk` and an Image column whose bytes are embedded.",
)
_add(_M, "batch_empty", "No usable image is left in the batch.", "Read the report of rejected images.")
_add(_M, "image_broken", "The file is no image that can be decoded.", "Remove it or export it again.")
_add(_M, "image_too_large", "The image has more pixels or bytes than the server accepts.", "Scale it down.")
_add(_M, "image_too_small", "The image has a side shorter than the server accepts.", "Remove it.")
_add(_M, "image_animated", "The image has more than one frame.", "Export a single frame.")
_add(
    _M,
    "image_duplicate",
    "The same pixels are already in the batch or in the corpus.",
    "Nothing; it is left out.",
)
_add(
    _M,
    "not_enough_reals",
    "There are fewer unused real images than generated ones to pair with.",
    "Publish another pool of real images first.",
)
_add(_M, "nothing_to_open", "No published generator fills a window yet.", "Publish more generators.")

# Callers of the API.
_C = Owner.CALLER
_add(_C, "not_authenticated", "The request carries no valid token.", "Send `Authorization: Token …`.")
_add(_C, "authentication_failed", "The token or the password is wrong or expired.", "Ask for a new token.")
_add(_C, "permission_denied", "Your account may not do this.", "Ask the owner or a maintainer.")
_add(
    _C,
    "scores_not_shared",
    "The scores of single images are not shared: of this benchmark, or of an entry that is private.",
    "Use the metrics of each generator; docs/decisions/0013-scores-of-single-images.md says why.",
)
_add(_C, "not_found", "There is nothing at this address that you may see.", "Check the address.")
_add(_C, "invalid", "A field is wrong.", "Correct what `detail` says, in the field that `attr` names.")
_add(_C, "method_not_allowed", "This address does not take this method.", "See /api/docs/.")
_add(_C, "parse_error", "The body can't be read.", "Send valid JSON.")
_add(_C, "body_too_large", "The body is larger than this address takes.", "Send images with an upload.")
_add(
    _C,
    "unsupported_media_type",
    "The body has a type that this address does not take.",
    "Set Content-Type as /api/docs/ says.",
)
_add(_C, "not_acceptable", "The answer can't be given in the type asked for.", "Accept application/json.")
_add(_C, "throttled", "Too many requests.", "Wait as long as Retry-After says.")
_add(_C, "error", "The server failed.", "Try again; if it stays, tell the maintainers the request id.")
_add(_C, "illegal_transition", "This can't be done in the present state.", "Read the state first.")
_add(
    _C,
    "reason_required",
    "This needs a written reason, which readers will see.",
    "Send it as `reason`, in a sentence that a visitor of the site understands.",
)
_add(
    _C,
    "conflict",
    "Something else changed or holds this already.",
    "Read it again and repeat if you still want it.",
)
_add(
    _C,
    "idempotency_mismatch",
    "The Idempotency-Key was used for another request.",
    "Send a new key with every new request, and the same key only to repeat the same one.",
)
_add(
    _C,
    "idempotency_running",
    "A request with this Idempotency-Key is still being answered.",
    "Send it again in a moment; you will get the first one's answer.",
)
_add(
    _C, "upload_offset", "The upload goes on at another offset.", "Ask with HEAD and resume at Upload-Offset."
)
_add(
    _C,
    "upload_size",
    "The upload is larger than declared or than the server accepts.",
    "Declare the right length.",
)
_add(
    _C,
    "upload_checksum",
    "The bytes that arrived do not have the checksum that was sent with them; they were thrown away.",
    "Send them again from the same offset.",
)
_add(
    _C,
    "upload_algorithm",
    "The server does not know this checksum algorithm.",
    "Use one of Tus-Checksum-Algorithm, which OPTIONS tells, or send no Upload-Checksum.",
)
_add(
    _C,
    "upload_stalled",
    "No byte came for so long that the server gave the request up. What had arrived is kept.",
    "Ask with HEAD and resume at Upload-Offset.",
)
_add(
    _C,
    "quota_submissions",
    "The team handed in as many entries as it may in a day.",
    "Wait until the oldest is a day old, or ask a maintainer for more. An entry that failed by a fault "
    "of the platform does not count.",
)
_add(
    _C,
    "quota_runs",
    "The team has as many checks and runs under way as it may have.",
    "Wait until one has ended, or cancel one.",
)
_add(
    _C,
    "seed_limit",
    "The entry has as many seeds as one may have, those that failed or were cancelled included.",
    "Nothing; the spread over the seeds that it has is what the board shows.",
)
_add(
    _C,
    "quota_bytes",
    "The team has no room for so many bytes.",
    "Give up uploads that you no longer need, or delete entries that have ended.",
)
_add(
    _C,
    "retry_impossible",
    "Only what failed by a fault of the platform can be tried again.",
    "Mend the detector and enter it anew.",
)
_add(
    _C,
    "upload_locked",
    "Another request is writing to this upload.",
    "Wait for it to end, ask with HEAD and resume at Upload-Offset.",
)
_add(_C, "upload_incomplete", "The upload is not finished.", "Send the remaining bytes first.")
_add(_C, "upload_version", "The request does not speak tus 1.0.0.", "Send `Tus-Resumable: 1.0.0`.")
_add(
    _C,
    "nothing_to_free",
    "Everything of this kind is needed for good.",
    "See docs/operate.md for the kinds that can be freed.",
)
_add(_C, "upload_used", "The upload already belongs to something else.", "Upload again.")
_add(
    _C,
    "webhook_target",
    "The server does not send webhooks to this address.",
    "Give an https:// or http:// address on the public internet, without a password and a fragment.",
)
_add(_C, "webhook_limit", "You have as many webhooks as one user may have.", "Delete one first.")
_add(
    _C, "token_limit", "You have as many tokens as one user may have.", "Revoke one that you no longer need."
)
_add(
    _C,
    "team_limit",
    "You own as many teams as one user may.",
    "Delete one, hand one over, or ask a maintainer.",
)
_add(
    _C,
    "team_in_use",
    "The team has entries or uploads, or is one person alone.",
    "Delete its uploads first. A team whose entries were published stays, with their scores.",
)
_add(_C, "last_owner", "A team always has an owner.", "Make another member owner first.")
_add(_C, "personal_team", "This team is one person alone.", "Make a team and invite to that.")
_add(
    _C,
    "invitation_limit",
    "The team has as many members and open invitations as it may have, or the link was sent just now.",
    "Take back invitations that nobody used, or wait ten minutes before you send one again.",
)


class TidemarkError(Exception):
    """A fault with a code from the catalogue; ``detail`` says what and where, in a sentence.

    Raises ``KeyError`` at construction when the code is not in the catalogue.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.entry = CATALOGUE[code]
        self.code = code
        self.detail = detail or self.entry.what
        super().__init__(f"{code}: {self.detail}")

    @property
    def owner(self) -> Owner:
        return self.entry.owner

    def __reduce__(self) -> tuple[type[TidemarkError], tuple[str, str]]:
        return type(self), (self.code, self.detail)


class ParticipantError(TidemarkError):
    """The submitted container's fault: the step fails and is not tried again."""


class PlatformError(TidemarkError):
    """The platform's fault: the step is tried again, and the participant's quota is untouched."""


class DataError(TidemarkError):
    """A maintainer's images or corpus are wrong."""


class RequestError(TidemarkError):
    """The caller asked for something that can't be done."""


# The codes of what was ours to prevent: such a failure can be tried again, and costs nobody a quota.
PLATFORM_FAULTS = tuple(code for code, row in CATALOGUE.items() if row.owner is Owner.PLATFORM)
