"""The Celery application, and the wake-up that is all a broker message ever says.

PostgreSQL is the queue of record. A message only tells some worker to look; if it is
lost, the sweeper sends another. Nothing here may fail a request.
"""

from __future__ import annotations

import structlog
from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

LOOK = "evaluator.look"
# The kinds of work, in the order in which a worker looks for them.
ALL_WORK = ("checks", "trials", "batches", "steps")

app = Celery("tidemark", broker=settings.REDIS_URL)
app.conf.update(
    task_ignore_result=True,
    task_default_queue="tidemark",
    worker_prefetch_multiplier=1,
    # The message is gone as soon as a worker has it: it carries no work that could be lost.
    task_acks_late=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "socket_keepalive": True},
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


def send_wake_up(count: int = 1) -> bool:
    """Tell workers to look, now. Returns whether the broker took the message.

    The connection is new each time, so the queue is declared anew: a broker that was
    flushed has forgotten it and would drop the message.
    """
    try:
        with app.connection_for_write(
            transport_options={"socket_connect_timeout": 2, "socket_timeout": 5}
        ) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            with app.amqp.Producer(connection) as producer:
                for _ in range(count):
                    app.send_task(LOOK, producer=producer, retry=False, expires=60)
    except (OperationalError, OSError) as error:
        log.warning("wake_up_lost", error=str(error))
        return False
    return True


def wake_workers() -> None:
    """Tell workers to look as soon as the present transaction is committed."""
    transaction.on_commit(send_wake_up, robust=True)
