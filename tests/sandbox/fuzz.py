"""Fuzzing the check of archives: valid ones of every form, changed in every way, and plain rubbish.

``python -m tests.sandbox.fuzz 20000`` runs that many cases and tells what came of them; the tests run
a few hundred. Whatever is read, the answer is an image or a fault of the participant from the catalogue,
within seconds, in bounded memory, and nothing is left behind.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocols.errors import CATALOGUE, Owner, ParticipantError
from sandbox.archive import clean_archive, inspect_archive
from tests.sandbox.archives import (
    AMD64,
    FORMS,
    PACKINGS,
    Image,
    Layout,
    digest_of,
    layer,
    members_of,
    packed,
)

CASE_S = 5.0
MEMORY_BYTES = 512 << 20

IMAGE = Image(
    layers=[layer({"detector.py": "pass"}), layer({"weights": "0123456789abcdef" * 200, "empty": ""})]
)
Member = tuple[str, bytes]

HOSTILE = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            -1,
            0,
            1 << 63,
            10**100,
            1e308,
            float("nan"),
            float("inf"),
            "",
            "\ud800",
            "\x00",
            "../../etc/passwd",
            "/",
            ".",
            "sha256:" + "0" * 64,
            "blobs/sha256/" + "0" * 64,
            "linux",
            [],
            {},
            [[]],
            {"": None},
        ]
    ),
    st.integers(1, 4000).map(lambda depth: json.loads("[" * min(depth, 900) + "]" * min(depth, 900))),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """The bytes of an archive, valid but for a few changes at any depth."""
    form, inner = draw(st.sampled_from(FORMS)), draw(st.sampled_from(PACKINGS))
    members = _members(draw, form, inner)
    for _ in range(draw(st.integers(0, 3))):
        members = draw(st.sampled_from(CHANGES))(draw, members)
    raw = _tar(members, draw(st.sampled_from((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))))
    if draw(st.integers(0, 5)) == 0:
        raw = _flipped(draw, raw)
    raw = packed(raw, draw(st.sampled_from(PACKINGS)))
    if draw(st.integers(0, 9)) == 0:
        raw = _flipped(draw, raw)
    return raw


def _members(draw: st.DrawFn, form: Any, inner: Any) -> list[Member]:
    if form != "oci" or draw(st.booleans()):
        return members_of(IMAGE, form, inner)
    layout = Layout()
    descriptor = layout.add_image(IMAGE, inner, platform=AMD64)
    if draw(st.booleans()):
        return layout.members(layout.add_index(descriptor, layout.add_attestation(descriptor)))
    other = layout.add_image(Image(architecture="arm64"), inner, platform={"os": "linux"})
    return layout.members(descriptor, other)


def _tar(members: list[Member], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content.startswith(b"\0link\0"):
                info.type, info.linkname = tarfile.SYMTYPE, content[6:].decode(errors="surrogateescape")
                archive.addfile(info)
                continue
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _index(draw: st.DrawFn, members: list[Member]) -> int:
    return draw(st.integers(0, len(members) - 1))


def _flipped(draw: st.DrawFn, raw: bytes) -> bytes:
    if not raw:
        return raw
    changed = bytearray(raw)
    how = draw(st.integers(0, 2))
    if how == 0:
        for _ in range(draw(st.integers(1, 6))):
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
        return bytes(changed)
    start = draw(st.integers(0, len(raw)))
    if how == 1:
        return raw[:start]
    piece = raw[start : start + draw(st.integers(1, 2048))]
    place = draw(st.integers(0, len(raw)))
    return raw[:place] + piece + raw[place:]


def _without_one(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    chosen = _index(draw, members)
    return members[:chosen] + members[chosen + 1 :] or members


def _one_twice(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    return [*members, members[_index(draw, members)]]


def _renamed(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    chosen = _index(draw, members)
    names = [name for name, _ in members] + ["../x", "/x", "x" * 300, "manifest.json", "index.json", "."]
    return [
        (draw(st.sampled_from(names)) if i == chosen else name, content)
        for i, (name, content) in enumerate(members)
    ]


def _contents_swapped(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    one, other = _index(draw, members), _index(draw, members)
    changed = list(members)
    changed[one], changed[other] = (members[one][0], members[other][1]), (members[other][0], members[one][1])
    return changed


def _linked(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    chosen, target = _index(draw, members), _index(draw, members)
    name = members[chosen][0]
    up = "../" * name.count("/")
    content = b"\0link\0" + (up + members[target][0]).encode()
    return [(n, content if i == chosen else c) for i, (n, c) in enumerate(members)]


def _content_flipped(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    chosen = _index(draw, members)
    if not members[chosen][1]:
        return members
    changed = _flipped(draw, members[chosen][1])
    return [(n, changed if i == chosen else c) for i, (n, c) in enumerate(members)]


def _repacked(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    chosen = _index(draw, members)
    content = packed(members[chosen][1], draw(st.sampled_from(PACKINGS)))
    return [(n, content if i == chosen else c) for i, (n, c) in enumerate(members)]


def _json_replaced(draw: st.DrawFn, members: list[Member]) -> list[Member]:
    """A value anywhere in a JSON document becomes hostile; digests of it are put right, or not."""
    documents = [i for i, (_, content) in enumerate(members) if content[:1] in (b"{", b"[")]
    if not documents:
        return members
    chosen = draw(st.sampled_from(documents))
    try:
        value = json.loads(members[chosen][1])
    except ValueError:
        return members
    places = list(_places(value))
    if not places:
        return members
    path = draw(st.sampled_from(places))
    before = members[chosen][1]
    after = json.dumps(_replaced(value, path, draw(HOSTILE))).encode()
    changed = [(n, after if i == chosen else c) for i, (n, c) in enumerate(members)]
    return _put_right(changed, before, after) if draw(st.booleans()) else changed


def _put_right(members: list[Member], before: bytes, after: bytes) -> list[Member]:
    """The members with the digest of ``after`` wherever that of ``before`` was, and so on upwards."""
    old, new = (digest_of(content).removeprefix("sha256:") for content in (before, after))
    changed = []
    grown: list[tuple[bytes, bytes]] = []
    for name, content in members:
        better = content
        if content[:1] in (b"{", b"[") and old.encode() in content:
            better = content.replace(old.encode(), new.encode())
            better = better.replace(b'"size": %d' % len(before), b'"size": %d' % len(after))
            grown.append((content, better))
        changed.append((name.replace(old, new), better))
    for content, better in grown:
        changed = _put_right(changed, content, better)
    return changed


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = _replaced(value[path[0]], path[1:], new)
    return changed


CHANGES: list[Callable[[st.DrawFn, list[Member]], list[Member]]] = [
    _without_one,
    _one_twice,
    _renamed,
    _contents_swapped,
    _linked,
    _content_flipped,
    _repacked,
    _json_replaced,
    _json_replaced,
    _json_replaced,
]

MAGIC = st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"PK\x03\x04"])
RUBBISH = st.tuples(MAGIC, st.binary(max_size=3000)).map(b"".join)


def check(path: Path, content: bytes) -> str:
    """Read one case; returns the code of the refusal, or ``accepted``. Fails where the promise is broken."""
    path.write_bytes(content)
    started = time.process_time()
    refusal: ParticipantError | None = None
    try:
        info = inspect_archive(path)
    except ParticipantError as error:
        refusal = error
    assert time.process_time() - started < CASE_S
    assert list(path.parent.iterdir()) == [path]
    if refusal is None:
        # What was accepted can be written for an engine, and is the same image then.
        clean = path.with_name("clean.tar")
        clean.write_bytes(b"".join(clean_archive(path)))
        assert inspect_archive(clean) == info
        clean.unlink()
        return "accepted"
    assert CATALOGUE[refusal.code].owner is Owner.PARTICIPANT
    assert refusal.code.startswith("archive_")
    # It goes into a database and onto a terminal.
    assert b"\0" not in refusal.detail.encode()
    assert len(refusal.detail) < 1000
    return refusal.code


class Fuzz:
    """Runs cases and counts what came of them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "image.tar"
        self.results: Counter[str] = Counter()
        self.slowest_s = 0.0

    def run(self, n_cases: int, cases: st.SearchStrategy[bytes]) -> None:
        @settings(
            max_examples=n_cases,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def case(content: bytes) -> None:
            started = time.perf_counter()
            self.results[check(self.path, content)] += 1
            self.slowest_s = max(self.slowest_s, time.perf_counter() - started)

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        case()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        assert grown < MEMORY_BYTES, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, help="how many; a fifth of them are plain rubbish")
    n_cases = parser.parse_args().cases
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        fuzz.run(n_cases - n_cases // 5, archives())
        fuzz.run(n_cases // 5, RUBBISH)
    print(f"{fuzz.results.total()} cases in {time.monotonic() - started:.0f} s, none broke the promise;")
    print(f"the slowest took {fuzz.slowest_s:.2f} s,", end=" ")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    for result, n in fuzz.results.most_common():
        print(f"{n:8} {result}")


if __name__ == "__main__":
    main()
