"""What submitters do from a terminal: log in, enter a detector, follow it, read its logs and its results.

Every command takes ``--json``: then standard output is one JSON document, or for ``watch`` one a line.
Exit codes: ``tidemark.exits``.
"""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemark import credentials
from tidemark.exits import Exit
from tidemark.session import AsJson, Server, Token, end, print_json, print_line, quoted, session

if TYPE_CHECKING:
    from tidemark.client import Api, Json
    from tidemark.watch import Standing

app = typer.Typer()

Which = Annotated[str, typer.Argument(metavar="ID|NAME", help="The id of an entry of yours, or its name.")]
DAY = ["%Y-%m-%d"]
# A board is made anew within a sweep of the server; after this what there is is shown.
BOARD_PATIENCE_S, BOARD_POLL_S = 20.0, 0.5


@app.command()
def login(
    server: Server = None,
    token: Annotated[
        str, typer.Option(help="A token that you have; else a name and a password are asked for.")
    ] = "",
    user: Annotated[str, typer.Option(help="Your user name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Remember a token for a server, readable by you alone."""
    server = credentials.address(server)
    made = not token
    if not token:
        user = user or typer.prompt("User name", err=True)
        password = typer.prompt("Password", hide_input=True, err=True)
        with session(server, "", as_json=as_json, anonymous=True) as api:
            token = api.post("tokens/", username=user, password=password, name=_this_machine())["token"]
    with session(server, token, as_json=as_json) as api:
        me = api.get("me/")
    credentials.remember(server, token, made=made)
    if as_json:
        print_json({"server": server, "username": me["username"], "teams": me["teams"]})
    else:
        typer.echo(f"You are {me['username']} on {server}.")


@app.command()
def logout(server: Server = None, as_json: AsJson = False) -> None:
    """Forget the token for a server; one that `login` made is revoked, too."""
    server = credentials.address(server)
    token, made = credentials.token_for(server), credentials.made_here(server)
    if not token:
        raise end(f"You are not logged in to {server}.", Exit.USAGE, as_json=as_json)
    credentials.forget(server)
    if made:
        with session(server, token, as_json=as_json) as api:
            api.delete("tokens/current/")
    if as_json:
        print_json({"server": server, "revoked": made})
    else:
        typer.echo(f"Logged out of {server}." + (" The token is revoked." if made else ""))


@app.command()
def submit(
    image: Annotated[
        str,
        typer.Argument(metavar="ARCHIVE|IMAGE", help="What `docker save` wrote, or the name of an image."),
    ],
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="The slug of the benchmark.")],
    name: Annotated[str, typer.Option("--name", "-n", help="The entry's name.")],
    team: Annotated[str, typer.Option(help="The slug of a team of yours; without one you alone.")] = "",
    description: Annotated[str, typer.Option(help="What it does.")] = "",
    paper: Annotated[str, typer.Option(help="The address of a paper.")] = "",
    code: Annotated[str, typer.Option(help="The address of its code.")] = "",
    cutoff: Annotated[
        datetime | None,
        typer.Option(formats=DAY, help="The day of the newest data that pretraining may have seen."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Only your team and maintainers see it.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The seed of its runs.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it is over.")] = False,
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Enter a detector: check its archive, upload it and hand it in.

    Run again, it goes on where it stopped: nothing that arrived is sent twice.
    """
    facts = {
        "description": description,
        "paper_url": paper,
        "code_url": code,
        "declared_cutoff": cutoff.date().isoformat() if cutoff else None,
        "visibility": "private" if private else "public",
        "seed": seed,
    }
    with session(server, token, as_json=as_json) as api:
        from tidemark import images
        from tidemark.progress import Bars
        from tidemark.submit import Entry, enter

        with Bars() as progress:
            archive = Path(image)
            if not archive.is_file():
                progress.saving()
                archive = images.archive_of(image)
            submission = enter(api, Entry(benchmark, name, team, facts), archive, progress)
        images.forget(archive)
        page = f"{api.url}/submissions/{submission['id']}/"
        if wait:
            _follow(api, submission, as_json=as_json)
        elif as_json:
            print_json({**submission, "page": page})
        else:
            typer.echo(f"{name} is {submission['state']}: {page}")


@app.command()
def status(
    entry: Annotated[
        str, typer.Argument(metavar="[ID|NAME]", help="One entry; without it, all of yours.")
    ] = "",
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show where an entry stands, or list your teams' entries."""
    with session(server, token, as_json=as_json) as api:
        from tidemark.results import print_entries, print_entry
        from tidemark.show import terminal

        if entry:
            found = _found(api, entry)
            print_json(found) if as_json else print_entry(terminal(), found)
        else:
            rows = list(api.list("submissions/", mine=True))
            print_json(rows) if as_json else print_entries(terminal(), rows)


@app.command()
def watch(entry: Which, server: Server = None, token: Token = "", as_json: AsJson = False) -> None:
    """Follow an entry until it is over: check, trial, queue, steps; the exit code says how it ended."""
    with session(server, token, as_json=as_json) as api:
        _follow(api, _found(api, entry), as_json=as_json)


@app.command()
def logs(
    entry: Which,
    step: Annotated[int | None, typer.Option(help="The id of a training step; `status` lists them.")] = None,
    trial: Annotated[bool, typer.Option("--trial", help="The trial run, in full.")] = False,
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print what a container printed: in the trial, or at the end of a training step.

    Without an option it is the training step that failed last, else the trial. What a container prints
    while it sees evaluation images is shown to nobody.
    """
    with session(server, token, as_json=as_json) as api:
        found = _found(api, entry)
        if step is None and not trial:
            step = _failed_training(found)
        if step is not None:
            row = api.get(f"steps/{step}/")
            if row["run"] not in {run["id"] for run in found["runs"]}:
                raise end(f"{step} is no step of {found['name']}.", Exit.USAGE, as_json=as_json)
            if as_json:
                print_json({"step": step, "phase": row["phase"], "log": row["log_tail"]})
            elif row["log_tail"] is None:
                raise end("A scoring step has no log: it could be made of evaluation images.")
            else:
                typer.echo(row["log_tail"])
            return
        phases = api.read(f"submissions/{found['id']}/trial/")
        if as_json:
            print_json(phases)
        for phase in [] if as_json else phases:
            typer.echo(f"--- {phase['phase']}, {phase['seconds']:.1f} s", err=True)
            typer.echo(phase["log"])
        if not phases and not as_json:
            typer.echo("There is no trial yet.", err=True)


@app.command()
def cancel(entry: Which, server: Server = None, token: Token = "", as_json: AsJson = False) -> None:
    """Stop what an entry has under way; before it is accepted, that withdraws it."""
    _act(entry, "cancel", "Nothing of {name} runs any more", server, token, as_json)


@app.command()
def retry(entry: Which, server: Server = None, token: Token = "", as_json: AsJson = False) -> None:
    """Go on after a fault of the server, from where it stopped."""
    _act(entry, "retry", "{name} goes on", server, token, as_json)


@app.command()
def seed(
    entry: Which,
    number: Annotated[int, typer.Argument(metavar="SEED", min=0, help="One that it has not run with.")],
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Run an accepted entry with another seed too, so that a board can show the spread of its scores."""
    with session(server, token, as_json=as_json) as api:
        found = _found(api, entry)
        run = api.post(f"submissions/{found['id']}/runs/", seed=number)
        if as_json:
            print_json(run)
        else:
            typer.echo(
                f"{found['name']} runs with seed {run['seed']} on edition {run['edition']} "
                f"(run {run['id']} is {run['state']})."
            )


@app.command()
def withdraw(
    entry: Which,
    reason: Annotated[str, typer.Option(help="Why; readers see it.")] = "",
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Take an entry back: nothing of it runs any more; its published scores stay."""
    _act(
        entry,
        "withdraw",
        "{name} is withdrawn; its published scores stay",
        server,
        token,
        as_json,
        reason=reason,
    )


@app.command()
def delete(
    entry: Which,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Free an entry's bytes. One that was never accepted is gone; of others the published scores stay."""
    with session(server, token, as_json=as_json) as api:
        found = _found(api, entry)
        stays = "its published scores stay" if found["accepted_at"] else "nothing of it stays"
        if not yes and not typer.confirm(
            f"Delete {found['name']} ({found['id']})? {stays.capitalize()}.", err=True
        ):
            raise end("nothing was deleted.", as_json=as_json)
        api.delete(f"submissions/{found['id']}/")
        if as_json:
            print_json({"id": found["id"], "gone": not found["accepted_at"]})
        else:
            typer.echo(f"{found['name']} is deleted; {stays}.")


@app.command()
def results(entry: Which, server: Server = None, token: Token = "", as_json: AsJson = False) -> None:
    """Show an entry's scores: averages with intervals, first contacts, and the matrix."""
    with session(server, token, as_json=as_json, anonymous=True) as api:
        from tidemark.results import print_results
        from tidemark.show import terminal

        found = _current_results(api, _found(api, entry)["id"])
        print_json(found) if as_json else print_results(terminal(), found)


@app.command()
def generators(
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help="Those of this benchmark, with their windows.")
    ] = None,
    server: Server = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List generators in the order of their release."""
    with session(server, token, as_json=as_json, anonymous=True) as api:
        from tidemark.results import print_generators
        from tidemark.show import terminal

        if benchmark is None:
            rows = list(api.list("generators/"))
        else:
            timeline = api.get(f"benchmarks/{quoted(benchmark)}/leaderboard/")["timeline"]
            rows = timeline["generators"] if timeline else []
        print_json(rows) if as_json else print_generators(terminal(), rows)


def _current_results(api: Api, entry: str) -> Json:
    """An entry's results, with the rank on a board that has them: it is made moments after a run ends."""
    patience_until = time.monotonic() + BOARD_PATIENCE_S
    while True:
        found = api.get(f"detectors/{entry}/")
        if found["is_current"] or not found["entry"] or time.monotonic() > patience_until:
            return found
        time.sleep(BOARD_POLL_S)


def _found(api: Api, entry: str) -> Json:
    """The entry that an id or a name means, as the API shows it alone. Raises ``UsageError``."""
    from tidemark.batches import UsageError

    try:
        return api.get(f"submissions/{uuid.UUID(entry)}/")
    except ValueError:
        named = list(api.list("submissions/", name=entry, mine=True))
    # What is over is meant only where nothing else has the name.
    live = [row for row in named if row["state"] not in ("rejected", "withdrawn")] or named[:1]
    if not live:
        raise UsageError(f"You have no entry {entry!r}. `tidemark status` lists what you have.")
    if len(live) > 1:
        listed = "; ".join(f"{row['id']} on {row['benchmark']} for {row['team']}" for row in live)
        raise UsageError(f"{len(live)} entries are called {entry!r}; name one by its id: {listed}.")
    return api.get(f"submissions/{live[0]['id']}/")


def _act(
    entry: str, verb: str, said: str, server: str | None, token: str, as_json: bool, **body: Any
) -> None:
    with session(server, token, as_json=as_json) as api:
        found = api.post(f"submissions/{_found(api, entry)['id']}/{verb}/", **body)
        if as_json:
            print_json(found)
        else:
            typer.echo(f"{said.format(name=found['name'])} (it is {found['state']}).")


def _follow(api: Api, submission: Json, *, as_json: bool) -> None:
    """Show an entry until it is over, and end the command by how it ended."""
    from tidemark.watch import watch

    with ExitStack() as parts:
        show = _print_standing
        if not as_json:
            from tidemark.progress import Follow

            show = parts.enter_context(Follow()).show
        last = watch(api, str(submission["id"]), show)
    if not as_json:
        typer.echo(f"{last.name}: {last.state}. {last.text}")
        typer.echo(f"{api.url}/submissions/{submission['id']}/")
    if last.exit:
        raise typer.Exit(last.exit)


def _print_standing(now: Standing) -> None:
    print_line(now.as_json())


def _failed_training(submission: Json) -> int | None:
    failed = [
        step["id"]
        for run in submission["runs"]
        for step in run["steps"]
        if step["phase"] == "train" and step["state"] == "failed"
    ]
    return failed[-1] if failed else None


def _this_machine() -> str:
    import platform

    return f"tidemark on {platform.node()}"[:80]
