from tests.engines import engine, engines, podman

__all__ = ["engine", "engines", "podman"]
