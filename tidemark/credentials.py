"""The tokens of this user, one a server, in a file that nobody else can read."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_SERVER = "http://127.0.0.1:8000"


def file() -> Path:
    """Where they are (the XDG base directory specification)."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "tidemark" / "credentials.json"


@dataclass(frozen=True)
class Kept:
    """``made``: `tidemark login` made it, and so may end it."""

    token: str
    made: bool


@dataclass
class Credentials:
    """``server`` is the one that was logged in to last, and so the one that is meant without a name."""

    server: str = ""
    tokens: dict[str, Kept] = field(default_factory=dict)

    @classmethod
    def load(cls) -> Credentials:
        """What is remembered; nothing where the file is missing or no such file."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(file().read_text(encoding="utf-8"))
            tokens = {
                str(server): Kept(str(row["token"]), bool(row["made"]))
                for server, row in kept["tokens"].items()
            }
            return cls(str(kept["server"]), tokens)
        return cls()

    def save(self) -> None:
        path = file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        # Made with its mode, so that there is no moment in which others can read it.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            tokens = {server: asdict(kept) for server, kept in self.tokens.items()}
            json.dump({"server": self.server, "tokens": tokens}, stream, indent=1)
        part.replace(path)


def address(server: str | None) -> str:
    """The server that is meant: the one given, or the last one logged in to, or this very machine."""
    return (server or Credentials.load().server or DEFAULT_SERVER).rstrip("/")


def token_for(server: str) -> str:
    """The token for ``server``, empty without one."""
    kept = Credentials.load().tokens.get(server)
    return kept.token if kept else ""


def made_here(server: str) -> bool:
    """Whether `tidemark login` made the token for ``server``."""
    kept = Credentials.load().tokens.get(server)
    return kept is not None and kept.made


def remember(server: str, token: str, *, made: bool) -> None:
    kept = Credentials.load()
    kept.server = server
    kept.tokens[server] = Kept(token, made)
    kept.save()


def forget(server: str) -> bool:
    """Forget the token for ``server``; whether there was one."""
    kept = Credentials.load()
    if server not in kept.tokens:
        return False
    del kept.tokens[server]
    if kept.server == server:
        kept.server = ""
    kept.save()
    return True
