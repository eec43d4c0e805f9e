"""Fixtures of commands that need a worker on a real engine."""

from tests.engines import engine, engines, podman

__all__ = ["engine", "engines", "podman"]
