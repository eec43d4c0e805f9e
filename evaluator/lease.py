"""Holding a piece of work: a heartbeat beside it, and what becomes of it when it ends."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from evaluator import worker
from leaderboard.models import Batch, Run, Step, Submission
from leaderboard.services import corpora, leases, runs, submissions
from protocols.errors import DataError, ParticipantError, PlatformError, TidemarkError

log = structlog.get_logger(__name__)

Work = TypeVar("Work", Step, Submission, Batch)
Result = TypeVar("Result")

TICK_S = 1.0
DATABASE_ERRORS = (OperationalError, InterfaceError)


class Stopped(Exception):  # noqa: N818 - it is a request, not an error.
    """The holder was asked to stop in mid-work: ``cancelled``, ``shutdown`` or ``lease_lost``."""


def with_database(action: Callable[[], Result]) -> Result:
    """Call ``action`` until the database answers, for as long as the lease can live."""
    deadline = time.monotonic() + settings.LEASE_S
    while True:
        try:
            return action()
        except DATABASE_ERRORS as error:
            connection.close()
            if time.monotonic() > deadline:
                raise
            log.warning("database_away", error=str(error).strip())
            time.sleep(TICK_S)


class Lease(Generic[Work]):
    """A claim in the hand of its worker. ``report`` and ``stop_reason`` may be called from any thread."""

    def __init__(self, work: Work) -> None:
        self.work: Work = work
        self._progress = 0.0
        self._activity = ""
        self._stop: str | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{work.pk}", daemon=True)

    def report(self, progress: float, activity: str) -> None:
        """Show how far the work is (0 to 1) and what is being done; written with the next heartbeat."""
        self._progress, self._activity = progress, activity

    def stop_reason(self) -> str | None:
        """Why to stop now, or ``None``."""
        return self._stop or ("shutdown" if worker.stopping.is_set() else None)

    def check(self) -> None:
        """Raises ``Stopped`` when the work must not go on."""
        if reason := self.stop_reason():
            raise Stopped(reason)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        renewed = time.monotonic()
        shown: tuple[float, str] | None = None
        try:
            while not self._done.wait(TICK_S) and self._stop is None:
                now = time.monotonic()
                current = (self._progress, self._activity)
                try:
                    if current != shown or now - renewed >= settings.HEARTBEAT_S:
                        leases.renew(self.work, progress=current[0], activity=current[1])
                        renewed, shown = now, current
                    if isinstance(self.work, Step) and _cancelled(self.work):
                        self._stop = "cancelled"
                except PlatformError:
                    self._stop = "lease_lost"
                except DATABASE_ERRORS:
                    connection.close()
                    # Without the database nobody can tell whether the claim still stands.
                    if now - renewed > settings.LEASE_S:
                        self._stop = "lease_lost"
        finally:
            connection.close()


def _cancelled(step: Step) -> bool:
    return Run.objects.filter(pk=step.run_id, cancel_requested=True).exists()


@contextmanager
def held(work: Work) -> Iterator[Lease[Work]]:
    """Hold ``work`` while the body runs, and end or give it back according to what the body raises.

    The body itself writes the successful end. A participant's or a maintainer's fault
    ends the work for good; any other fault gives it back for another attempt; a stop
    gives it back without counting, or cancels it. Nothing is raised.
    """
    lease = Lease(work)
    lease.start()
    label = {"work": type(work).__name__.lower(), "id": str(work.pk)}
    ending: Callable[[], None] | None = None
    try:
        yield lease
    except Stopped as stop:
        log.info("stopped", reason=str(stop), **label)
        ending = _ending_of_stop(work, str(stop))
    except (ParticipantError, DataError) as error:
        log.info("failed", code=error.code, **label)
        ending = _failure(work, error)
    except PlatformError as error:
        log.warning("platform_fault", code=error.code, detail=error.detail, **label)
        ending = _retry(work, error)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        log.exception("platform_fault", **label)
        ending = _retry(work, PlatformError("storage_full" if full else "staging_failed", str(error)))
    except Exception as error:
        log.exception("defect", **label)
        ending = _retry(work, PlatformError("internal", f"{type(error).__name__}: {error}"))
    finally:
        lease.end()
    if ending is not None:
        try:
            with_database(ending)
        except PlatformError as error:
            log.warning("late_result_refused", code=error.code, **label)


def _ending_of_stop(work: Work, reason: str) -> Callable[[], None] | None:
    if reason == "cancelled" and isinstance(work, Step):
        return _fenced(work, lambda: runs.step_cancel(work))
    if reason == "lease_lost":
        return None
    return lambda: leases.release(work, reason="The worker was shut down.", counts=False)


def _retry(work: Work, error: PlatformError) -> Callable[[], None] | None:
    if error.code == "lease_lost":
        return None
    return lambda: leases.release(work, reason=error.detail, counts=True, error=error)


def _failure(work: Work, error: TidemarkError) -> Callable[[], None]:
    if isinstance(work, Step):
        return _fenced(
            work, lambda: runs.step_fail(work, error, log_tail=work.log_tail, timings=work.timings)
        )
    if isinstance(work, Submission):
        return _fenced(work, lambda: submissions.submission_reject(work, error))
    return _fenced(work, lambda: corpora.batch_reject(work, error))


def _fenced(work: Work, action: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with transaction.atomic():
            leases.fence(work)
            action()

    return run
