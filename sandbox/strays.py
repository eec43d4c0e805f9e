"""Containers whose worker is gone."""

from __future__ import annotations

from collections.abc import Callable

from docker.client import DockerClient

from sandbox.engine import engine_errors
from sandbox.limits import LABEL_INSTANCE, LABEL_STEP, LABEL_TOKEN
from sandbox.runner import remove


def remove_strays(client: DockerClient, instance: str, is_current: Callable[[str, int], bool]) -> list[str]:
    """Remove every container of ``instance`` on this engine whose lease is no longer current.

    ``is_current`` gets the step and the token of the lease. Returns the names of what was removed.
    Raises ``PlatformError`` (engine_unavailable, engine_error).
    """
    removed = []
    with engine_errors():
        containers = client.api.containers(all=True, filters={"label": f"{LABEL_INSTANCE}={instance}"})
        for container in containers:
            labels = container["Labels"]
            if not is_current(labels[LABEL_STEP], int(labels[LABEL_TOKEN])):
                remove(client, container["Id"])
                removed.append(container["Names"][0].lstrip("/"))
    return removed
