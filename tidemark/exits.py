"""What the command's exit codes mean. docs/submit.md has the same table; a test holds the two together."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    REFUSED = 1
    USAGE = 2
    REJECTED = 3
    NOT_PUBLISHED = 4
    PLATFORM = 5
    WITHDRAWN = 6
    INTERRUPTED = 130


MEANING = {
    Exit.DONE: "done",
    Exit.REFUSED: "it can't be done: refused, or the server can't be reached; standard error says why",
    Exit.USAGE: "wrong usage: an argument is missing, or contradicts what the server has",
    Exit.REJECTED: "the detector or the batch failed: in its check, its trial or its run",
    Exit.NOT_PUBLISHED: "the batch is sealed, and publishing it was refused",
    Exit.PLATFORM: "the server failed, not the detector: `tidemark retry` goes on where it stopped",
    Exit.WITHDRAWN: "it was cancelled or withdrawn",
    Exit.INTERRUPTED: "Ctrl-C; what was uploaded is kept, and the same command goes on",
}
