"""What all commands have in common: which server, on whose behalf, and how things and refusals are told.

Results for people and for ``--json`` go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemark import credentials
from tidemark.exits import Exit

if TYPE_CHECKING:
    from tidemark.client import Api, ApiError

Server = Annotated[
    str | None,
    typer.Option(
        envvar="TIDEMARK_SERVER",
        show_default="the last one logged in to",
        help="The server's address.",
    ),
]
Token = Annotated[
    str,
    typer.Option(
        envvar="TIDEMARK_TOKEN",
        show_default="that of `tidemark login`",
        help="A token. In the environment others can't see it.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@contextmanager
def session(
    server: str | None, token: str, *, as_json: bool = False, anonymous: bool = False
) -> Iterator[Api]:
    """The server's API; whatever it refuses ends the command with a sentence and an exit code.

    ``anonymous``: the command needs no token.
    """
    server = credentials.address(server)
    token = token or credentials.token_for(server)
    # Imported here so that `tidemark score` works without the extra.
    try:
        import httpx

        from tidemark.batches import UsageError
        from tidemark.client import Api, ApiError
        from tidemark.pack import PackError
    except ImportError as error:
        raise end(f"{error}. This needs: pip install 'tidemark[client]'", as_json=as_json) from None
    if not token and not anonymous:
        raise end(
            f"You are not logged in to {server}. Run `tidemark login`, or set TIDEMARK_TOKEN.",
            Exit.USAGE,
            as_json=as_json,
        )
    try:
        with Api(server, token) as api:
            yield api
    except UsageError as error:
        raise end(str(error), Exit.USAGE, as_json=as_json) from None
    except ApiError as error:
        raise refused(error, as_json=as_json) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise end(f"{server} can't be reached: {error}", as_json=as_json) from None
    except (PackError, OSError) as error:
        raise end(str(error), as_json=as_json) from None
    except KeyboardInterrupt:
        raise end("stopped.", Exit.INTERRUPTED) from None


def refused(error: ApiError, *, as_json: bool) -> typer.Exit:
    return end(
        str(error), error.exit, as_json=as_json, errors=error.errors or [{"code": "", "detail": str(error)}]
    )


def end(
    message: str, code: int = Exit.REFUSED, *, as_json: bool = False, errors: list[Any] | None = None
) -> typer.Exit:
    """Say why the command ends; with ``--json`` on standard output too, in the API's shape."""
    typer.echo(f"tidemark: {message}", err=True)
    if as_json:
        print_json({"errors": errors or [{"code": "", "detail": message}]})
    return typer.Exit(code)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def print_line(value: Any) -> None:
    """One of several JSON documents, each on a line of its own."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def quoted(part: str) -> str:
    """``part`` as one part of an address, whatever is in it."""
    from urllib.parse import quote

    return quote(part, safe="")
