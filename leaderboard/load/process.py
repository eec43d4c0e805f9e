"""How a process begins that computes rows. Nothing here needs the models, which it is to make ready."""

from __future__ import annotations

import django
from threadpoolctl import threadpool_limits


def set_up() -> None:
    django.setup()
    # The matrices are small, and the processes take the cores already.
    threadpool_limits(1)
