"""A corpus as a folder on this machine: two tables, and a folder of images for each origin."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evaluator.data.sources import SourceFile, printable, split_from_path
from protocols.errors import DataError

COLUMNS = ("slug", "name", "family", "release_date", "source", "licence")

_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,60}")


@dataclass(frozen=True)
class GeneratorRow:
    """A row of ``generators.csv``."""

    slug: str
    name: str
    family: str
    release_date: date
    source: str
    licence: str


@dataclass(frozen=True)
class CorpusFolder:
    """What a corpus folder says; ``generators`` as in the table, ``reals`` the real sources by name."""

    root: Path
    slug: str
    name: str
    description: str
    simulated: bool
    generators: tuple[GeneratorRow, ...]
    reals: tuple[str, ...]

    def generator_files(self, slug: str) -> list[SourceFile]:
        """The files of a generator in the order of their paths; hidden ones are left out."""
        return _files(self.root / "generators" / slug)

    def real_files(self, source: str) -> list[SourceFile]:
        """The files of a real source in the order of their paths; hidden ones are left out."""
        return _files(self.root / "reals" / source)


def read_corpus_folder(root: Path, slug: str = "") -> CorpusFolder:
    """Read the tables and the folders' names; ``slug`` overrides ``corpus.json`` and the folder's name.

    Raises ``DataError``: ``corpus_layout`` or ``corpus_row``.
    """
    if not root.is_dir():
        raise DataError("corpus_layout", f"{root} is not a folder.")
    about = _about(root / "corpus.json")
    chosen = slug or about.get("slug") or root.resolve().name
    _require_slug(chosen, "corpus_layout", "The name of the corpus")
    generators = _generators(root / "generators.csv")
    named = {row.slug for row in generators}
    present = set(_folders(root / "generators"))
    if named != present:
        raise DataError(
            "corpus_layout",
            f"generators.csv and the folders in generators/ differ in {', '.join(sorted(named ^ present))}.",
        )
    reals = _folders(root / "reals")
    for source in reals:
        _require_slug(source, "corpus_layout", "The folder of a real source")
    return CorpusFolder(
        root=root,
        slug=chosen,
        name=about.get("name") or chosen,
        description=about.get("description") or "",
        simulated=bool(about.get("simulated", False)),
        generators=tuple(generators),
        reals=tuple(reals),
    )


def _about(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError("corpus_layout", f"{path} is not JSON: {error}.") from error
    if not isinstance(about, dict):
        raise DataError("corpus_layout", f"{path} is not a JSON object.")
    return about


def _generators(path: Path) -> list[GeneratorRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if set(reader.fieldnames or ()) != set(COLUMNS):
                raise DataError("corpus_layout", f"{path} needs the columns {','.join(COLUMNS)}.")
            rows = [_generator(f"{path}, line {reader.line_num}", row) for row in reader]
    except FileNotFoundError as error:
        raise DataError("corpus_layout", f"There is no {path}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError("corpus_layout", f"{path} is not a table in UTF-8: {error}.") from error
    seen: set[str] = set()
    for row in rows:
        if row.slug in seen:
            raise DataError("corpus_row", f"{path} names {row.slug} twice.")
        seen.add(row.slug)
    return rows


def _generator(where: str, row: dict[str, str | None]) -> GeneratorRow:
    # DictReader fills short rows with None and puts what is too much under None.
    if None in row or None in row.values():
        raise DataError("corpus_row", f"{where} has not {len(COLUMNS)} fields.")
    fields = {key: (value or "").strip() for key, value in row.items()}
    _require_slug(fields["slug"], "corpus_row", f"{where}: slug")
    try:
        released = date.fromisoformat(fields["release_date"])
    except ValueError as error:
        raise DataError(
            "corpus_row", f"{where}: release_date {fields['release_date']!r} is not YYYY-MM-DD."
        ) from error
    return GeneratorRow(
        slug=fields["slug"],
        name=fields["name"] or fields["slug"],
        family=fields["family"],
        release_date=released,
        source=fields["source"],
        licence=fields["licence"],
    )


def _require_slug(text: str, code: str, what: str) -> None:
    if not _SLUG.fullmatch(text):
        raise DataError(
            code, f"{what} is {printable(text)!r}; use up to 60 letters, digits, hyphens and underscores."
        )


def _folders(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(root: Path) -> list[SourceFile]:
    files = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or any(part.startswith(".") for part in name.split("/")):
            continue
        files.append(SourceFile(printable(name), path, split_from_path(name)))
    return files
