"""Names that strangers chose, made fit for the formats that they go out in."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

# A spreadsheet takes a cell that begins so for a formula, also after blanks; the last four are what some
# keyboards type for = + - @. See OWASP, "CSV Injection".
FORMULA = r"^(\s*[=+\-@＝＋－＠]|[\t\r\n])"
# XML 1.0 has no way to write these: controls, halves of surrogate pairs, and two that are no characters.
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# What isolates a text from the direction of the text around it: the opening and the closing mark.
_ISOLATE, _END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


def unformula(texts: pa.Array) -> pa.Array:
    """Texts that no spreadsheet takes for formulas: those that it would have an apostrophe before them."""
    # Most columns repeat few texts, and each is looked at once.
    coded = texts.dictionary_encode()
    return pc.replace_substring_regex(coded.dictionary, FORMULA, r"'\1").take(coded.indices)


def line(text: str, n_characters: int = 200) -> str:
    """A text as one line for people: no controls or marks that turn its direction, blanks as one space.

    What is longer than ``n_characters`` is cut with an ellipsis.
    """
    shown = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= n_characters else f"{shown[: n_characters - 1].rstrip()}…"


def isolated(text: str) -> str:
    """A line within other text: a name from right to left turns nothing beside it around."""
    is_turning = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if is_turning else text


def xml(text: str) -> str:
    """Text for the inside of an element or of an attribute in double quotes."""
    text = _NO_XML.sub("", text)
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, written)
    return text


def ranks(rank: int, best: int | None, worst: int | None) -> str:
    """The ranks that the data leave open, or the one."""
    return str(rank) if best is None or best == worst else f"{best}–{worst}"
