"""What maintainers do from a terminal: ``tidemark batch …`` and ``tidemark generator …``.

Everything goes through the REST API. Results are printed on standard output (``--json``: one JSON
value and nothing else), progress and errors on standard error. Exit codes: ``tidemark.exits``.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemark.exits import Exit
from tidemark.session import AsJson, Server, Token, end, print_json, quoted, session

if TYPE_CHECKING:
    from tidemark.client import Api, Json

batch = typer.Typer(
    no_args_is_help=True, help="Bring batches of images in and publish them. For maintainers."
)
generator = typer.Typer(no_args_is_help=True, help="Correct what is said of a generator. For maintainers.")

Reason = Annotated[str, typer.Option(help="Why, for the log and the generator's page.")]
CorpusSlug = Annotated[str, typer.Argument(metavar="CORPUS")]
GeneratorSlug = Annotated[str, typer.Argument(metavar="GENERATOR")]
BatchId = Annotated[str, typer.Argument(metavar="ID", help="The id of the batch.")]


@batch.command()
def upload(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            metavar="PATH",
            help="A folder of images (train/ and eval/ below it or not), a zip or tar of one, or a Hugging "
            "Face dataset directory.",
        ),
    ],
    corpus: Annotated[str, typer.Option(help="The corpus that the images go into.")],
    generator: Annotated[str | None, typer.Option(help="The slug of the generator that made them.")] = None,
    reals: Annotated[str | None, typer.Option(help="They are real images; the slug of their source.")] = None,
    name: Annotated[str | None, typer.Option(help="The generator's name, if it is new.")] = None,
    family: Annotated[str | None, typer.Option(help="Its family, as gan or diffusion.")] = None,
    release_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day on which it was released.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the images come from.")] = None,
    licence: Annotated[str | None, typer.Option(help="The licence of the images.")] = None,
    server: Server = None,
    token: Token = "",
    publish: Annotated[bool, typer.Option("--publish", help="Publish it when its check is through.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Upload images, wait for their check and show its report; with --publish, publish them.

    A generator that the corpus does not know is registered. Run again with the same images, it goes
    on where it stopped.
    """
    facts = {
        "name": name,
        "family": family,
        "release_date": release_date.date().isoformat() if release_date else None,
        "source": source,
        "licence": licence,
    }
    given = {fact: value for fact, value in facts.items() if value is not None}
    if (generator is None) == (reals is None):
        raise end("Give either --generator or --reals.", Exit.USAGE)
    if reals is not None and given:
        raise end(f"Real images have no --{next(iter(given)).replace('_', '-')}.", Exit.USAGE)
    with (
        session(server, token, as_json=as_json) as api,
        tempfile.TemporaryDirectory(prefix="tidemark-batch-") as scratch,
    ):
        from tidemark.batches import Subject, bring_in, register
        from tidemark.pack import pack
        from tidemark.progress import Bars

        subject = Subject(corpus, generator, reals, given)
        register(api, subject)
        with Bars() as progress:
            archive = pack(path, Path(scratch), progress.packing)
            found = bring_in(api, api.url, subject, archive, progress)
        _finish(api, found, publish=publish, reason=reason, as_json=as_json)


@batch.command("list")
def list_(
    corpus: Annotated[str | None, typer.Option(help="Only of this corpus.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List the batches, newest first."""
    with session(server, token, as_json=as_json) as api:
        wanted = {key: value for key, value in (("corpus", corpus), ("state", state)) if value is not None}
        batches = list(api.list("batches/", **wanted))
        if as_json:
            print_json(batches)
        else:
            from tidemark.show import print_batches, terminal

            print_batches(terminal(), batches)


@batch.command()
def show(id: BatchId, server: Server = None, token: Token = "", as_json: AsJson = False) -> None:
    """Show the report of a batch and, where it is sealed, what publishing it would start."""
    with session(server, token, as_json=as_json) as api:
        _finish(api, api.get(f"batches/{quoted(id)}/"), publish=False, as_json=as_json, ended=False)


@batch.command("publish")
def publish_(
    id: BatchId,
    reason: Reason = "",
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Publish a sealed batch, after showing what that starts."""
    with session(server, token, as_json=as_json) as api:
        _finish(api, api.get(f"batches/{quoted(id)}/"), publish=True, reason=reason, as_json=as_json)


@generator.command()
def withdraw(
    corpus: CorpusSlug,
    generator: GeneratorSlug,
    reason: Annotated[str, typer.Option(help="Why, for the log and the generator's page.")],
    server: Server = None,
    token: Token = "",
) -> None:
    """Withdraw a generator: its scores are hidden and averages computed without it."""
    with session(server, token) as api:
        api.post(f"generators/{quoted(corpus)}/{quoted(generator)}/withdraw/", reason=reason)
        typer.echo(f"{generator} is withdrawn.")


@generator.command()
def redate(
    corpus: CorpusSlug,
    generator: GeneratorSlug,
    date: Annotated[datetime, typer.Argument(metavar="DATE", formats=["%Y-%m-%d"])],
    reason: Annotated[str, typer.Option(help="Why, for the log and the generator's page.")],
    server: Server = None,
    token: Token = "",
) -> None:
    """Correct a generator's release date."""
    day = date.date().isoformat()
    with session(server, token) as api:
        address = f"generators/{quoted(corpus)}/{quoted(generator)}/release-date/"
        api.post(address, release_date=day, reason=reason)
        typer.echo(f"{generator} was released on {day}.")


def _finish(
    api: Api, found: Json, *, publish: bool, reason: str = "", as_json: bool, ended: bool = True
) -> None:
    """Show a batch and what publishing it would start, and publish it if that is wanted.

    ``ended``: a rejected batch is a failure of the command.
    """
    from tidemark.client import ApiError
    from tidemark.show import print_batch, print_preview, terminal

    preview = api.get(f"batches/{found['id']}/preview/") if found["state"] == "sealed" else None
    if not as_json:
        print_batch(terminal(), found)
        if preview:
            print_preview(terminal(), preview)
    code = Exit.REJECTED if ended and found["state"] == "rejected" else 0
    if publish and found["state"] not in ("published", "rejected"):
        try:
            found = api.post(f"batches/{found['id']}/publish/", reason=reason)
        except ApiError as error:
            code = end(str(error), Exit.NOT_PUBLISHED).exit_code
    if as_json:
        print_json({"batch": found, "preview": preview})
    elif publish and found["state"] == "published":
        typer.echo(f"Published at {found['published_at']}.")
    if code:
        raise typer.Exit(code)
