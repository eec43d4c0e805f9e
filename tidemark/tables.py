"""Tables in a terminal, whole whatever its width: half a number would be a wrong one."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# Wider than any table is; the terminal wraps the lines that are wider than it.
WIDEST = 1000
# Sentences are wrapped inside their column.
SENTENCE = 60


class WholeTable(Table):
    """A table that takes the width it needs. It must be printed by a console that wraps softly."""

    def __init__(self, indent: int) -> None:
        super().__init__(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        self.indent = indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = super().__rich_console__(console, options.update(max_width=WIDEST))
        for line in Segment.split_lines(segment for segment in drawn if isinstance(segment, Segment)):
            yield from (Segment(" " * self.indent), *line, Segment.line())


def table(*headings: str, indent: int = 0) -> WholeTable:
    """A table without lines, so many characters from the left.

    ``>`` before a heading puts its column to the right, ``~`` before one wraps it.
    """
    made = WholeTable(indent)
    for heading in headings:
        kind, name = (heading[:1], heading[1:]) if heading[:1] in (">", "~") else ("", heading)
        made.add_column(
            Text(name),
            justify="right" if kind == ">" else "left",
            no_wrap=kind != "~",
            max_width=SENTENCE if kind == "~" else None,
        )
    return made
