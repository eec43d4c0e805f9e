"""Whether this process can do its work. Answers name parts and never an address, a path or a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import OperationalError

from leaderboard.queue import app
from leaderboard.store import store

log = structlog.get_logger(__name__)

BROKER_TIMEOUT_S = 1


class Status(StrEnum):
    """``DEGRADED``: work goes on, slower or later."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    name: str
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Health:
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        for status in (Status.FAILED, Status.DEGRADED):
            if any(check.status == status for check in self.checks):
                return status
        return Status.OK

    @property
    def is_ready(self) -> bool:
        return self.status != Status.FAILED


def readiness() -> Health:
    """Ask every part that a request may need."""
    database = _check("database", _database)
    checks = [database]
    if database.status == Status.OK:
        checks.append(_check("migrations", _migrations))
    checks += [_check("store", _store), _check("broker", _broker)]
    return Health(tuple(checks))


def _check(name: str, ask: Callable[[], Check]) -> Check:
    check = ask()
    if check.status != Status.OK:
        log.warning("unhealthy", part=name, status=check.status.value, detail=check.detail)
    return check


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        connection.close()
        return Check("database", Status.FAILED, "PostgreSQL does not answer.")
    return Check("database", Status.OK)


def _migrations() -> Check:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        connection.close()
        return Check("migrations", Status.FAILED, "PostgreSQL does not answer.")
    if waiting:
        return Check("migrations", Status.FAILED, f"{len(waiting)} are not applied: manage.py migrate.")
    return Check("migrations", Status.OK)


def _store() -> Check:
    try:
        file = store().scratch(".health")
        file.write_bytes(b"tidemark")
        file.unlink()
    except OSError as error:
        return Check("store", Status.FAILED, f"The store can't be written: {error.strerror}.")
    return Check("store", Status.OK)


def _broker() -> Check:
    """Redis only wakes workers: the queue of record is PostgreSQL, so its absence fails nothing."""
    timeouts = {"socket_connect_timeout": BROKER_TIMEOUT_S, "socket_timeout": BROKER_TIMEOUT_S}
    try:
        with app.connection_for_write(transport_options=timeouts) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT_S)
    except (OperationalError, OSError):
        return Check(
            "broker", Status.DEGRADED, "Redis does not answer; the sweeper wakes workers when it is back."
        )
    return Check("broker", Status.OK)
