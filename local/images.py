"""The images of the reference detectors: built once, and again only when something in them changes.

Every image carries a hash of all that went into it; a call that finds the same hash builds
nothing. Builds have no network: pip fetches wheels here and the build installs from their folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.engine import install
from local.stack import home_folder
from local.wheels import ensure_wheels
from sandbox.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"

REGISTRY_BASE = "python:3.11-slim-bookworm"
DEBIAN_BASE = "localhost/tidemark/base:bookworm"

KIT = DOCKER / "kit"
# What each reference detector installs beside the kit. Those with the same files begin with the
# same build steps, so the engine's cache gives them one layer of torch.
_TORCH = DOCKER / "base" / "torch.txt"
REQUIREMENTS = {
    "constant": (),
    "durall-spectrum": (DOCKER / "detectors" / "durall-spectrum" / "requirements.txt",),
    "cifake-cnn": (_TORCH,),
    "npr": (_TORCH,),
}
DETECTORS = tuple(REQUIREMENTS)

LABEL_RECIPE = "io.tidemark.recipe"

Say = Callable[[str], None]


def ensure_base(engine: Engine, say: Say = print) -> str:
    """The name of an image with Python 3.11 and pip.

    The official Python image if the engine has it or can pull it; else Debian's own packages,
    installed with debootstrap, which needs root. Raises ``RuntimeError`` when neither works.
    """
    script = DOCKER / "base" / "debian.sh"
    recipe = _recipe([script], "")
    if _recipe_of(engine, DEBIAN_BASE) == recipe:
        return DEBIAN_BASE
    if _recipe_of(engine, REGISTRY_BASE) is not None:
        return REGISTRY_BASE
    say(f"Pulling {REGISTRY_BASE} …")
    if _engine(engine, "pull", "--quiet", REGISTRY_BASE, check=False).returncode == 0:
        return REGISTRY_BASE
    _import_debian(engine, script, recipe, say)
    return DEBIAN_BASE


def ensure_detector(engine: Engine, name: str, say: Say = print) -> str:
    """The name of the image of the reference detector ``name`` (one of ``DETECTORS``), built if need be.

    Raises ``RuntimeError`` with the end of the build's output when it fails.
    """
    base = ensure_base(engine, say)
    base_id = _engine(engine, "image", "inspect", "--format={{.Id}}", base).stdout.strip()
    inputs = [KIT, DOCKER / "detectors" / name, *REQUIREMENTS[name]]
    recipe = _recipe(inputs, base_id)
    tag = f"localhost/tidemark/{name}:latest"
    if _recipe_of(engine, tag) == recipe:
        return tag
    needed = [line for file in (KIT / "requirements.txt", *REQUIREMENTS[name]) for line in _lines(file)]
    needed += tomllib.loads((KIT / "pyproject.toml").read_text())["build-system"]["requires"]
    wheels = ensure_wheels(home_folder() / "wheels", needed, say)
    say(f"Building {tag} …")
    with _context(inputs, wheels) as context:
        arguments = [f"--file={context / 'detectors' / name / 'Dockerfile'}", f"--tag={tag}"]
        arguments += [f"--build-arg=BASE={base}", "--build-arg=PIP_NO_INDEX=1"]
        arguments += [f"--label={LABEL_RECIPE}={recipe}", "--network=none", "--pull=false"]
        # Podman's defaults are more than an engine without CAP_SYS_RESOURCE may grant.
        arguments += ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]
        program = _docker_builder() if engine.name == "docker" else None
        _engine(engine, "build", *arguments, str(context), program=program)
    return tag


def save(engine: Engine, reference: str, path: Path) -> None:
    """Write the image to ``path`` as a docker archive, unless the archive there is already of this image.

    Raises ``RuntimeError`` when the engine can't.
    """
    image_id = _engine(engine, "image", "inspect", "--format={{.Id}}", reference).stdout.strip()
    if path.exists() and image_id.removeprefix("sha256:") in _archived(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    form = ["--format=docker-archive"] if engine.name == "podman" else []
    try:
        _engine(engine, "save", *form, f"--output={unfinished}", reference)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _archived(path: Path) -> str:
    """The name of the image's configuration in a docker archive, which holds the image's id."""
    with tarfile.open(path) as archive:
        manifest = archive.extractfile("manifest.json")
        return "" if manifest is None else str(json.load(manifest)[0]["Config"])


@contextmanager
def _context(inputs: Iterable[Path], wheels: Path) -> Iterator[Path]:
    """A build context laid out like ``docker/``, with the wheels beside it as hard links."""
    with tempfile.TemporaryDirectory(prefix="build-", dir=home_folder()) as name:
        context = Path(name)
        for file in _files(inputs):
            target = context / file.relative_to(DOCKER)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        shutil.copytree(wheels, context / "wheels", copy_function=os.link)
        yield context


def _files(inputs: Iterable[Path]) -> list[Path]:
    """The files of ``inputs`` (files and folders), sorted, without what Python leaves behind."""
    found = {file for path in inputs for file in ([path] if path.is_file() else path.rglob("*"))}
    return sorted(f for f in found if f.is_file() and "__pycache__" not in f.parts)


def _recipe(inputs: Iterable[Path], base_id: str) -> str:
    digest = hashlib.sha256(base_id.encode())
    for file in _files(inputs):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"\n{content} {file.relative_to(DOCKER)}".encode())
    return digest.hexdigest()


def _lines(requirements: Path) -> list[str]:
    lines = (line.strip() for line in requirements.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _recipe_of(engine: Engine, tag: str) -> str | None:
    """The recipe that an image carries, "<no value>" if it carries none; None if there is no such image."""
    form = f'--format={{{{index .Config.Labels "{LABEL_RECIPE}"}}}}'
    done = _engine(engine, "image", "inspect", form, tag, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _import_debian(engine: Engine, script: Path, recipe: str, say: Say) -> None:
    if os.geteuid() != 0:
        raise RuntimeError(
            f"{REGISTRY_BASE} can't be pulled, and making a base image from Debian packages needs root. "
            f"Pull or load {REGISTRY_BASE} into {engine.name}, or run this as root."
        )
    if shutil.which("debootstrap") is None:
        install(["debootstrap"], say)
    say("No image registry is reachable: making a base image from Debian packages …")
    with tempfile.TemporaryDirectory(prefix="tidemark-base-") as folder:
        archive = Path(folder) / "base.tar"
        with archive.open("wb") as output:
            done = subprocess.run([script], stdout=output, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"debootstrap failed:\n{_tail(done.stderr)}")
        change = f"--change=LABEL {LABEL_RECIPE}={recipe}"
        _engine(engine, "import", change, str(archive), DEBIAN_BASE)


def _docker_builder() -> str:
    """A Docker client with BuildKit, which mounts the wheels: built in before version 23, then in buildx."""
    for folder in os.get_exec_path():
        docker = shutil.which("docker", path=folder)
        if docker is None:
            continue
        version = subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"version (\d+)", version)
        if found and int(found[1]) < 23:
            return docker
        if subprocess.run([docker, "buildx", "version"], capture_output=True, check=False).returncode == 0:
            return docker
    raise RuntimeError("Docker's client can't build images without buildx: apt-get install docker-buildx")


def _engine(
    engine: Engine, *arguments: str, program: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Call the engine's own command line: its API has no build with mounts on Docker.

    ``DOCKER_HOST`` and ``--url`` send both to the very service that will run the images.
    """
    command = [program or engine.name]
    if engine.name == "podman":
        command.append(f"--url={engine.docker_host}")
    environment = os.environ | {"DOCKER_HOST": engine.docker_host, "DOCKER_BUILDKIT": "1"}
    done = subprocess.run(
        [*command, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"{command[0]} {arguments[0]} failed:\n{_tail(done.stdout + done.stderr)}")
    return done


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-20:])
