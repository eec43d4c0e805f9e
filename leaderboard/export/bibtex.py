"""Citations in BibTeX."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date

from leaderboard.export.plain import line, ranks
from leaderboard.models import Benchmark, Submission
from leaderboard.selectors.entries import Entry
from leaderboard.selectors.estimates import Estimate
from leaderboard.selectors.snapshots import Shown

_SIGNS = {
    "\\": r"{\textbackslash}",
    # BibTeX counts braces whatever stands before them, so an odd one would swallow what follows.
    "{": r"{\textbraceleft}",
    "}": r"{\textbraceright}",
    "%": r"\%",
    "&": r"\&",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"{\textasciitilde}",
    "^": r"{\textasciicircum}",
    '"': r"{\textquotedbl}",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
    "–": "--",
    "—": "---",
    "×": r"{\texttimes}",
    "…": r"{\ldots}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u030a": "r ",
    "\u030c": "v ",
    "\u0306": "u ",
    "\u030b": "H ",
    "\u0304": "=",
    "\u0307": ".",
    "\u0327": "c ",
    "\u0328": "k ",
}


def escaped(text: str) -> str:
    r"""A text as a field's value in braces may hold it: ``Größe_1`` is ``Gr{\"o}{\ss}e\_1``.

    Letters that TeX has no command for stay as they are, in UTF-8.
    """
    return "".join(map(_letter, unicodedata.normalize("NFC", line(text, 500))))


def _letter(letter: str) -> str:
    if letter.isascii() or letter in _SIGNS:
        return _SIGNS.get(letter, letter)
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        return "{\\" + _ACCENTS[parts[1]] + parts[0] + "}"
    return letter


def detector_entry(
    submission: Submission,
    entry: Entry | None,
    shown: Shown | None,
    n_ranked: int,
    *,
    site: str,
    accessed: date,
) -> str:
    """How to cite a detector's result. ``site`` is the address of the site, without a slash in the end.

    The note has what the board said of it and the address of that very board, for good.
    """
    benchmark = submission.benchmark
    estimate = entry.next.estimate if entry else Estimate()
    note = []
    if estimate.value is not None:
        note.append(f"Next AUROC {estimate.value:.3f}")
        if estimate.low is not None and estimate.high is not None:
            note[-1] += f" (95 % interval {estimate.low:.3f}–{estimate.high:.3f})"
    if entry and entry.rank is not None:
        note.append(f"rank {ranks(entry.rank, entry.rank_best, entry.rank_worst)} of {n_ranked}")
    if submission.image_id:
        note.append(f"image {submission.image_id}")
    return _entry(
        f"tidemark-{benchmark.slug}-{_key(submission.name)}-{str(submission.pk)[:8]}",
        title=f"{{{escaped(submission.name)}}} on {{{escaped(benchmark.name)}}}",
        author=submission.team.name,
        address=f"{site}/detectors/{submission.pk}/",
        notes=note,
        benchmark=benchmark,
        shown=shown,
        site=site,
        accessed=accessed,
    )


def board_entry(benchmark: Benchmark, shown: Shown | None, *, site: str, accessed: date) -> str:
    """How to cite a board as it was shown."""
    citation = f"-{shown.citation[:8]}" if shown else ""
    return _entry(
        f"tidemark-{benchmark.slug}{citation}",
        title=f"{{{escaped(benchmark.name)}}}: leaderboard",
        author="Tidemark",
        address=f"{site}/b/{benchmark.slug}/{f'?asof={shown.citation}' if shown else ''}",
        notes=[],
        benchmark=benchmark,
        shown=shown,
        site=site,
        accessed=accessed,
    )


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "detector"


def _entry(
    key: str,
    *,
    title: str,
    author: str,
    address: str,
    notes: list[str],
    benchmark: Benchmark,
    shown: Shown | None,
    site: str,
    accessed: date,
) -> str:
    dated = shown.at.astimezone(UTC).date() if shown else accessed
    if shown:
        notes = [*notes, f"board {shown.citation} of edition {shown.edition}, {dated.isoformat()}"]
    link = f"{site}/b/{benchmark.slug}/?asof={shown.citation}" if shown else ""
    fields = {
        "title": title + (" (simulated corpus)" if benchmark.corpus.simulated else ""),
        # Braces keep a comma or an "and" from dividing a name.
        "author": f"{{{escaped(author)}}}",
        "year": str(dated.year),
        "month": str(dated.month),
        "howpublished": "Tidemark",
        "url": _address(address),
        "urldate": accessed.isoformat(),
        "note": "; ".join([*map(escaped, notes), *([rf"\url{{{_address(link)}}}"] if link else [])]),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}\n"


def _address(text: str) -> str:
    """An address without what would end the field that it stands in."""
    return re.sub(r"[{}\\\s]", lambda sign: f"%{ord(sign[0]):02X}", text)
