"""Rows for PostgreSQL's COPY, which takes a hundred thousand in a second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import AutoField, JSONField, Model

# COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


class Rows:
    """Lines of one table; a column that is not given has its field's default.

    ``first``: columns that come first, as a text that many rows have in common.
    """

    def __init__(self, model: type[Model], first: Sequence[str] = ()) -> None:
        fields = {str(f.column): f for f in model._meta.concrete_fields if not isinstance(f, AutoField)}
        self.table = model._meta.db_table
        self.lines: list[str] = []
        self.columns = [*first, *(name for name in fields if name not in first)]
        self._first = list(first)
        self._others = self.columns[len(first) :]
        self._defaults = {name: field.get_default() for name, field in fields.items()}
        self._json = {name for name, field in fields.items() if isinstance(field, JSONField)}

    def add(self, values: Mapping[str, Any], first: str | None = None) -> None:
        """A row by the names of its columns; what the table does not have is left out."""
        cells = [self._cell(name, values.get(name, self._defaults[name])) for name in self._others]
        self.lines.append("\t".join([first, *cells] if first is not None else cells) + "\n")

    def common(self, values: Mapping[str, Any]) -> str:
        """The text of the columns that come first."""
        return "\t".join(self._cell(name, values[name]) for name in self._first)

    def _cell(self, name: str, value: Any) -> str:
        if name in self._json:
            return json.dumps(value).translate(_ESCAPES)
        if value is None:
            return NULL
        if isinstance(value, bytes):
            return f"\\\\x{value.hex()}"
        if isinstance(value, str):
            return value.translate(_ESCAPES)
        return value.isoformat() if isinstance(value, date) else str(value)


def copy_in(table: str, columns: Iterable[str], lines: Iterable[str]) -> None:
    """Write lines that :class:`Rows` made; the names are those of our own models."""
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        copy.write("".join(lines))
