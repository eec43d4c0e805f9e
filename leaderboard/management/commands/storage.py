"""``manage.py storage``: what lies in the store, and freeing what nobody needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from leaderboard.selectors.desk.storage import KEPT, Inventory, Kind, take_inventory
from leaderboard.services.moves import SERVER
from leaderboard.services.storage import storage_free
from protocols.errors import TidemarkError


class Command(BaseCommand):
    help = "Show what lies in the store and what nobody needs; with --free delete that of one kind."

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = [kind.value for kind in Kind if kind not in KEPT]
        parser.add_argument("--free", metavar="KIND", choices=kinds, help=f"One of {', '.join(kinds)}.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["free"]:
            try:
                freed = storage_free(Kind(options["free"]), actor=SERVER)
            except TidemarkError as error:
                raise CommandError(error.detail) from error
            self.stdout.write(f"Freed {freed.n_objects} of {freed.kind.value}: {size(freed.size_bytes)}.")
        self.stdout.write("\n".join(table(take_inventory())))


def size(n_bytes: int) -> str:
    """Bytes as people say them, with a space that every terminal has."""
    return filesizeformat(n_bytes).replace("\N{NO-BREAK SPACE}", " ")


def table(taken: Inventory) -> list[str]:
    """The inventory as lines of text."""
    lines = [f"{'kind':<12}{'objects':>10}{'size':>12}{'not needed':>12}{'room':>12}"]
    for stock in taken.stocks:
        lines.append(
            f"{stock.kind.value:<12}{stock.n_objects:>10}{size(stock.size_bytes):>12}"
            f"{stock.n_free:>12}{size(stock.free_bytes):>12}"
        )
        if stock.n_missing:
            lines.append(f"  {stock.n_missing} that are needed are missing")
    left = size(taken.disk_free_bytes)
    return [*lines, f"{left} left of {size(taken.disk_bytes)}, {taken.used_share:.0%} used"]
