"""``tidemark try``: what a server does with a detector before it accepts it, on one's own machine.

The same check of the archive, the same sandbox with the same flags, the same sample images and the
same checks of what the detector leaves. Nothing is sent anywhere.

Exit codes (``tidemark.exits``): 0 it passes; 1 it can't be tried (no engine, no such image, …); 2 wrong
usage; 3 the detector fails, and standard error says with which code and what to do.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from protocols.contract import DEFAULT_BUDGETS, Budget, Phase
from protocols.errors import ParticipantError, PlatformError, TidemarkError
from tidemark.exits import Exit
from tidemark.session import AsJson, Server, end, print_json, quoted, session

if TYPE_CHECKING:
    from docker.client import DockerClient

    from sandbox.archive import ImageInfo
    from sandbox.trial import TrialReport

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(KiB|MiB|GiB|)")

Budgets = dict[Phase, Budget]


def try_(
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="The name of an image that Docker or Podman has here, or the path of its archive.",
        ),
    ],
    benchmark: Annotated[
        str | None, typer.Option(help="Take the bounds of this benchmark from the server.")
    ] = None,
    server: Server = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PHASE.]BOUND=VALUE",
            help="Change a bound, as train.memory_bytes=8GiB or cpus=4. May be given several times.",
        ),
    ] = None,
    gpus: Annotated[str, typer.Option(help="The GPUs that it may see, as 0,1.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The seed in the request.")] = 0,
    logs: Annotated[bool, typer.Option("--logs", help="Show what it printed even if it passes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a detector as a server would: check its archive, train and predict on sample images.

    This needs Docker or Podman on this machine, and: pip install 'tidemark[try]'
    """
    try:
        budgets = _changed(_budgets(benchmark, server), budget or [])
    except ValueError as error:
        raise end(str(error), Exit.USAGE, as_json=as_json) from None
    devices = tuple(filter(None, gpus.split(",")))
    if benchmark is None and not any(each.gpus for each in budgets.values()):
        budgets = {phase: replace(each, gpus=len(devices)) for phase, each in budgets.items()}
    needed = max(each.gpus for each in budgets.values())
    if len(devices) < needed:
        raise end(f"It is granted {needed} GPUs: say which with --gpus.", Exit.USAGE, as_json=as_json)
    try:
        with _workplace() as folder:
            report = _tried(image, folder, budgets, devices, benchmark or "trial", seed)
    except ImportError as error:
        raise end(f"{error}. This needs: pip install 'tidemark[try]'", as_json=as_json) from None
    except ParticipantError as error:
        raise _refused(image, error, as_json=as_json) from None
    except PlatformError as error:
        raise end(error.detail, as_json=as_json) from None
    except OSError as error:
        raise end(str(error), as_json=as_json) from None
    except KeyboardInterrupt:
        raise end("stopped; nothing is left behind.", Exit.INTERRUPTED) from None
    _show(image, report, logs=logs, as_json=as_json)


@dataclass(frozen=True)
class _Tried:
    image: ImageInfo
    trial: TrialReport


def _tried(
    image: str, folder: Path, budgets: Budgets, gpus: tuple[str, ...], benchmark: str, seed: int
) -> _Tried:
    """Do what a server does. Raises ``ParticipantError`` for what its check refuses, ``PlatformError``."""
    from sandbox.archive import inspect_archive
    from sandbox.here import engine_here
    from sandbox.images import ensure_image, has_image
    from sandbox.limits import Lease
    from sandbox.strays import remove_strays
    from sandbox.trial import Trial, run_trial

    given = Path(image)
    by_name = not given.is_file()
    with ExitStack() as parts:
        say = _Progress()
        if by_name:
            client, engine = parts.enter_context(engine_here(folder, image))
            say.now(f"Saving {image} from {engine.name}")
            archive = _save(client, image, folder / "image.tar")
        else:
            archive = given
        say.now("Checking the archive")
        found = inspect_archive(archive)
        if not by_name:
            client, engine = parts.enter_context(engine_here(folder))
        # One of ours that was killed has left its container; those of others on this engine are theirs.
        instance = "try-" + re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())
        remove_strays(client, instance, lambda _, pid: _is_alive(pid))
        say.now(f"Loading the image into {engine.name}")
        if not has_image(client, found.image_id):
            parts.callback(_forget, client, found.image_id)
        ensure_image(client, archive, found.image_id)
        trial = Trial(
            client,
            engine,
            found.image_id,
            found.phases,
            budgets.__getitem__,
            Lease(instance, "trial", os.getpid(), "tidemark-try"),
            benchmark=benchmark,
            seed=seed,
            gpus=gpus,
        )
        place = folder / "trial"
        place.mkdir()
        report = run_trial(trial, place, on_progress=say.phase, should_stop=lambda: None)
    return _Tried(found, report)


def _save(client: DockerClient, image: str, target: Path) -> Path:
    from sandbox.engine import engine_errors

    with engine_errors(), target.open("wb") as file:
        file.writelines(client.api.get_image(image))
    return target


def _forget(client: DockerClient, image_id: str) -> None:
    from docker.errors import APIError

    with suppress(APIError):
        client.api.remove_image(image_id, force=True)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() if Path("/proc/self").exists() else True


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder that is gone in the end, whatever a detector left in it and however we are ended."""
    from sandbox.tree import remove_tree

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    folder = Path(tempfile.mkdtemp(prefix="tidemark-try-"))
    try:
        yield folder
    finally:
        remove_tree(folder)
        signal.signal(signal.SIGTERM, before)


def _budgets(benchmark: str | None, server: str | None) -> Budgets:
    if benchmark is None:
        return dict(DEFAULT_BUDGETS)
    with session(server, "", anonymous=True) as api:
        told = api.get(f"benchmarks/{quoted(benchmark)}/")["budgets"]
    try:
        return {phase: Budget(**told[phase.value]) for phase in Phase}
    except (KeyError, TypeError):
        raise ValueError(f"The server tells no budgets of {benchmark} that this version knows.") from None


def _changed(budgets: Budgets, changes: list[str]) -> Budgets:
    """The budgets with changes such as ``train.memory_bytes=8GiB``. Raises ``ValueError``."""
    for change in changes:
        name, _, value = change.partition("=")
        phase, dot, bound = name.rpartition(".")
        amount = _AMOUNT.fullmatch(value)
        if bound not in asdict(budgets[Phase.TRAIN]):
            bounds = ", ".join(asdict(budgets[Phase.TRAIN]))
            raise ValueError(f"--budget {change}: the bounds are {bounds}.")
        if amount is None or (dot and phase not in list(Phase)):
            raise ValueError(f"--budget {change}: write it as train.memory_bytes=8GiB or cpus=4.")
        number = float(amount[1]) * _UNITS[amount[2]]
        for each in [Phase(phase)] if dot else list(Phase):
            kind = type(getattr(budgets[each], bound))
            budgets[each] = replace(budgets[each], **{bound: kind(number)})
    return budgets


class _Progress:
    """One line on standard error for each thing that begins, and for each quarter of a phase."""

    def __init__(self) -> None:
        self._shown: tuple[Phase, int] | None = None

    def now(self, what: str) -> None:
        typer.echo(f"{what} …", err=True)

    def phase(self, phase: Phase, share: float) -> None:
        step = (phase, int(share * 4))
        if step != self._shown:
            self._shown = step
            verb = "Training" if phase is Phase.TRAIN else "Predicting"
            typer.echo(f"{verb}: {share:.0%}", err=True)


def _refused(image: str, error: ParticipantError, *, as_json: bool) -> typer.Exit:
    """The check of the archive refused it, as a server's would."""
    if as_json:
        print_json({"image": image, "passed": False, "error": _as_json(error), "phases": []})
    return end(_told(error), Exit.REJECTED)


def _show(image: str, tried: _Tried, *, logs: bool, as_json: bool) -> None:
    trial = tried.trial
    if as_json:
        print_json(
            {
                "image": image,
                "image_id": tried.image.image_id,
                "passed": trial.passed,
                "error": _as_json(trial.error),
                "phases": [
                    asdict(replace(phase, error=None)) | {"error": _as_json(phase.error)}
                    for phase in trial.phases
                ],
            }
        )
    else:
        for phase in trial.phases:
            memory = phase.peak_memory_bytes
            peak = "" if memory is None else f", at most {memory / 2**20:,.0f} MiB of memory"
            ending = "failed" if phase.error else "went well"
            typer.echo(f"{phase.phase}: {ending} in {phase.seconds:.1f} s{peak}")
            if logs or phase.error:
                typer.echo(f"--- what {phase.phase} printed ({phase.log_bytes:,} bytes) ---")
                typer.echo(phase.log.rstrip("\n"))
                typer.echo("---")
    if trial.error:
        ours = isinstance(trial.error, PlatformError)
        raise end(_told(trial.error), Exit.REFUSED if ours else Exit.REJECTED)
    typer.echo(f"{image} passes: a server would accept it.", err=True)


def _told(error: TidemarkError) -> str:
    return f"{error.code}: {error.detail} {error.entry.fix}"


def _as_json(error: TidemarkError | None) -> dict[str, Any] | None:
    return {"code": error.code, "detail": error.detail, "fix": error.entry.fix} if error else None
