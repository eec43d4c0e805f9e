"""What an archive may be and unpack to. Honest images with CUDA and a framework stay far below."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.errors import ParticipantError

MAX_BYTES = 32 << 30
MAX_MEMBERS = 10_000
MAX_LAYERS = 500
# Of files in all layers: each costs the engine an inode, whatever its size.
MAX_FILES = 1_000_000
MAX_JSON_BYTES = 4 << 20
# Of all JSON together; software bills of materials come as JSON too, and are read past.
MAX_KEPT_BYTES = 64 << 20
# Of one extended header, as in the engines' own reader, and of all of an archive without its layers.
MAX_HEADER_BYTES = 1 << 20
MAX_HEADERS_BYTES = 4 << 20
# Compressed data may come in many pieces: `zstd:chunked` has one for each file.
MAX_FRAMES = 1_000_000
# Real layers shrink to a third. Nothing below the free amount can hurt, however well it packs.
MAX_RATIO = 100
FREE_BYTES = 256 << 20


@dataclass
class Meter:
    """Counts unpacked bytes; refuses more than ``max_bytes``, and than ``packed_bytes`` can honestly make."""

    packed_bytes: int
    max_bytes: int
    total_bytes: int = 0

    def count(self, n_bytes: int) -> None:
        """Raises ``ParticipantError``: archive_too_large or archive_bomb."""
        self.total_bytes += n_bytes
        if self.total_bytes > self.max_bytes:
            raise ParticipantError("archive_too_large", f"The limit is {self.max_bytes} bytes, unpacked.")
        if self.total_bytes > FREE_BYTES + MAX_RATIO * self.packed_bytes:
            raise ParticipantError(
                "archive_bomb", f"{self.packed_bytes} bytes unpack to more than {MAX_RATIO} times as many."
            )


@dataclass
class Tally:
    """Counts things, and refuses more than ``most`` of them."""

    most: int
    what: str
    n: int = 0

    def count(self, n: int = 1) -> None:
        """Raises ``ParticipantError('archive_too_large')``."""
        self.n += n
        if self.n > self.most:
            raise ParticipantError("archive_too_large", f"The archive has more than {self.most} {self.what}.")
