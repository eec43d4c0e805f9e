"""Reading tar files forwards, strictly, as the engines' own reader (Go's ``archive/tar``) does.

Python's ``tarfile`` is built to read whatever anyone ever wrote: it keeps every member, goes back,
guesses, and searches headers in quadratic time. Nothing of that is wanted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.errors import ParticipantError
from sandbox.archive.bounds import MAX_HEADER_BYTES, Tally
from sandbox.archive.stream import Stream

BLOCK = 512
FILE, HARD_LINK, LINK, FOLDER = b"0", b"1", b"2", b"5"
CHARACTER, BLOCK_DEVICE, PIPE = b"3", b"4", b"6"
DEVICES = (CHARACTER, BLOCK_DEVICE)
_EMPTY = bytes(BLOCK)
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = b"x", b"g", b"L", b"K", b"S"
# What early tars called a file, and a file that lies in one piece.
_FILES = (FILE, b"\0", b"7")
_WITHOUT_CONTENT = (HARD_LINK, LINK, *DEVICES, FOLDER, PIPE)


@dataclass(frozen=True)
class Entry:
    """A member; ``size`` bytes of content follow it in the stream. Names may hold surrogates."""

    name: str
    kind: bytes
    size: int
    target: str


def is_header(block: bytes) -> bool:
    """Whether ``block`` is the header of a member, by its checksum, or the empty block at the end."""
    if len(block) != BLOCK:
        return False
    return block == _EMPTY or _sum_is_right(block)


def entries(stream: Stream, header_bytes: Tally) -> Iterator[Entry]:
    """The members of a tar in their order. What of a content is left unread is passed over.

    Raises ``ParticipantError``: archive_unreadable, archive_unsafe for what no image needs
    (sparse files, headers without end), and what ``header_bytes`` refuses.
    """
    name = target = None
    size: int | None = None
    while True:
        block = stream.take(BLOCK)
        if not block or block == _EMPTY:
            _require_end(stream)
            return
        if not is_header(block):
            raise ParticipantError("archive_unreadable", "A tar header in the archive is damaged.")
        kind = block[156:157]
        if kind in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
            content = _extended(stream, _number(block[124:136]), header_bytes)
            if kind == _LONG_NAME:
                name = _text(content)
            elif kind == _LONG_LINK:
                target = _text(content)
            elif kind == _PAX:
                records = _records(content)
                name = records.get("path", name)
                target = records.get("linkpath", target)
                size = _decimal(records["size"]) if "size" in records else size
            continue
        entry = Entry(
            name=_name(block) if name is None else name,
            kind=FILE if kind in _FILES else kind,
            size=_number(block[124:136]) if size is None else size,
            target=_text(block[157:257]) if target is None else target,
        )
        if kind == _SPARSE:
            raise unsafe(entry.name, "is a sparse file")
        if kind in _WITHOUT_CONTENT:
            entry = Entry(entry.name, entry.kind, 0, entry.target)
        end = stream.position + entry.size
        yield entry
        for _ in stream.exactly(end - stream.position):
            pass
        # The last member's padding may be cut off, as the engines allow.
        stream.take(-entry.size % BLOCK)
        name = target = size = None


def unsafe(name: str, why: str) -> ParticipantError:
    return ParticipantError("archive_unsafe", f"The member {name[:200]!r} {why}.")


def header(name: str, size: int) -> bytes:
    """A header as every engine reads it, of a file with a short ``name`` that belongs to nobody."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name.encode()
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    # Eleven octal digits hold 8 GiB; what is larger is binary, after a first bit that says so.
    block[124:136] = b"%011o\0" % size if size < 8**11 else (1 << 95 | size).to_bytes(12, "big")
    block[136:148] = b"00000000000\0"
    block[156:157] = FILE
    # GNU's, for a binary size is its invention.
    block[257:265] = b"ustar  \0"
    block[148:156] = b"%06o\0 " % _sum(bytes(block))
    return bytes(block)


def padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _require_end(stream: Stream) -> None:
    after = stream.take(BLOCK)
    if after and after != _EMPTY[: len(after)]:
        raise ParticipantError("archive_unreadable", "A tar in the archive goes on after its end.")


def _sum(block: bytes, *, signed: bool = False) -> int:
    """The sum of a header's bytes, with spaces for the checksum."""
    counted = block[:148] + b" " * 8 + block[156:]
    return sum(counted) - (256 * sum(byte > 127 for byte in counted) if signed else 0)


def _sum_is_right(block: bytes) -> bool:
    digits = block[148:156].strip(b" \0")
    try:
        wanted = int(digits, 8) if digits.isdigit() else -1
    except ValueError:
        return False
    # Old tars have summed signed bytes.
    return _sum(block) == wanted or _sum(block, signed=True) == wanted


def _number(field: bytes) -> int:
    """A number of a header: octal, or binary after a set first bit. A negative one is refused."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        if field[0] & 0x40 or value >= 1 << 62:
            raise ParticipantError("archive_unreadable", "A member's size in the archive makes no sense.")
        return value
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8) if not digits or digits.isdigit() else _decimal("")
    except ValueError:
        return _decimal("")


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ParticipantError("archive_unreadable", "A member's size in the archive makes no sense.")
    return int(text)


def _extended(stream: Stream, size: int, header_bytes: Tally) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise ParticipantError("archive_unsafe", f"A header in the archive claims {size} bytes.")
    header_bytes.count(BLOCK + size)
    content = b"".join(stream.exactly(size))
    stream.take(-size % BLOCK)
    return content


def _records(content: bytes) -> dict[str, str]:
    """The records ``length key=value`` of an extended header."""
    found: dict[str, str] = {}
    start = 0
    while start < len(content):
        space = content.find(b" ", start, start + 10)
        digits = content[start:space]
        end = start + int(digits) if space > 0 and digits.isdigit() else 0
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end <= space or end > len(content) or content[end - 1 : end] != b"\n" or not equals:
            raise ParticipantError("archive_unreadable", "A tar header in the archive is damaged.")
        if key.startswith(b"GNU.sparse."):
            raise unsafe(_text(found.get("path", "").encode(errors="surrogateescape")), "is a sparse file")
        found[_text(key)] = _text(value)
        start = end
    return found


def _name(block: bytes) -> str:
    name = _text(block[:100])
    # Old GNU tars, and ours, have times where POSIX has the first part of a long name.
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
