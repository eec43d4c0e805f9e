"""``manage.py sweep``: the loop that keeps work moving."""

from __future__ import annotations

import itertools
import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError, connection

from leaderboard.services.boards import boards_refresh
from leaderboard.services.notifications import deliver_due
from leaderboard.services.sweep import sweep

# Boards that nobody said had changed are looked at now and then too: what was forgotten is found.
EVERY_BOARD = 120

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Give back expired leases, wake workers, free what is abandoned and send news, again and again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Sweep once and stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        rounds = itertools.count()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                swept = sweep()
                if swept.released or swept.deleted:
                    log.info("swept", released=swept.released, deleted=swept.deleted)
                boards_refresh(every=next(rounds) % EVERY_BOARD == 0)
                told = deliver_due()
                if told.sent or told.failed:
                    log.info("delivered", sent=told.sent, failed=told.failed)
            except OperationalError as error:
                # A restarted database is back in a moment, and the next sweep finds everything as it was.
                log.warning("sweep_failed", error=str(error))
                connection.close()
                if options["once"]:
                    raise
            if options["once"]:
                return
            stop.wait(settings.SWEEP_S)
