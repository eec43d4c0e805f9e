"""What accounts and teams may be called."""

from __future__ import annotations

import re

from protocols.errors import RequestError

# A name stands in addresses, in logs beside the names of workers, and in shells.
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,38}")
USERNAME_RULE = (
    "From 1 to 39 letters, digits, dots, dashes and underscores, beginning with a letter or a digit."
)
TEAM = re.compile(r"[a-z0-9][a-z0-9-]{1,58}")
TEAM_RULE = "From 2 to 59 small letters, digits and dashes, beginning with a letter or a digit."
# The account and the team of the server itself: by these rules nobody else can have the name.
SERVER_NAME = "_tidemark"
# What would pass for the server or those who run it, and words of its addresses. Operators may use them.
# fmt: off
RESERVED = frozenset(
    [
        "account", "accounts", "admin", "administrator", "all", "anonymous", "anybody", "api", "b", "c",
        "current", "desk", "detectors", "everybody", "evaluator", "health", "help", "invitations", "login",
        "logout", "mail", "maintainer", "maintainers", "me", "metrics", "moderator", "new", "news",
        "nobody", "none", "noreply", "null", "official", "operator", "operators", "owner", "password",
        "postmaster", "root", "security", "server", "signup", "site", "staff", "static", "submissions",
        "support", "sweep", "sweeper", "system", "team", "teams", "theme", "tidemark", "tokens",
        "undefined", "user", "users", "visitor", "webhooks", "webmaster", "worker", "workers",
    ]
)
# fmt: on


def username_check(name: str) -> None:
    """Raises ``RequestError('invalid')`` for a name that no account may have, whoever makes it."""
    if not USERNAME.fullmatch(name):
        raise RequestError("invalid", f"{name!r} is no name for an account. {USERNAME_RULE}")


def team_check(slug: str) -> None:
    """Raises ``RequestError('invalid')`` for a short name that no team may have."""
    if not TEAM.fullmatch(slug) or slug in RESERVED:
        raise RequestError("invalid", f"{slug!r} is no short name for a team. {TEAM_RULE}")


def label_check(name: str) -> str:
    """A name for people to read, in one line. Raises ``RequestError('invalid')``."""
    name = name.strip()
    if not 0 < len(name) <= 120 or not name.isprintable():
        raise RequestError("invalid", "A name has from 1 to 120 characters that can be read.")
    return name
