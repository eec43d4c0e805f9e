"""The container engine of this machine: found, or started as our own child, and stopped again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from local.processes import end, private_folder, spawn, tail
from protocols.errors import PlatformError
from sandbox.engine import Engine, connect

START_S = 30.0
STOP_S = 15.0

# catatonit is the init of every container; Debian only recommends it, and without it nothing starts.
PODMAN = ("podman", "runc", "catatonit")
INSTALL_PODMAN = f"apt-get install {' '.join(PODMAN)}"
# Where Podman looks for it; distributions that ship it with Podman have it in no PATH.
INIT = (Path("/usr/libexec/podman/catatonit"), Path("/usr/lib/podman/catatonit"))


class NoEngineError(RuntimeError):
    """No container engine can be used; the message says what is missing and the one command that helps."""


@contextlib.contextmanager
def container_engine(folder: Path, say: Callable[[str], None] = print) -> Iterator[Engine]:
    """An engine that answers, for as long as the context lasts.

    In this order: ``DOCKER_HOST``; a Docker daemon's socket; Podman, whose service we start with
    its files in ``folder``; Podman after installing it, as root on Debian or Ubuntu, which ``say``
    announces. A service that we started is stopped in the end, and mounts that it made are undone.
    Raises ``NoEngineError``.
    """
    docker_host = os.environ.get("DOCKER_HOST")
    if docker_host:
        yield _answering(docker_host, "Correct or unset DOCKER_HOST.")
        return
    for socket in _docker_sockets():
        with contextlib.suppress(PlatformError):
            yield _engine_at(f"unix://{socket}")
            return
    if shutil.which("podman") is None and not _can_install():
        raise NoEngineError(f"There is neither Docker nor Podman on this machine: sudo {INSTALL_PODMAN}")
    with podman_engine(folder, say) as engine:
        yield engine


def _docker_sockets() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path("/var/run/docker.sock"), *([Path(runtime) / "docker.sock"] if runtime else [])]
    return [socket for socket in candidates if socket.is_socket()]


def _engine_at(docker_host: str) -> Engine:
    client, engine = connect(docker_host)
    client.close()
    return engine


def _answering(docker_host: str, advice: str) -> Engine:
    try:
        return _engine_at(docker_host)
    except PlatformError as error:
        raise NoEngineError(f"{error.detail} {advice}") from error


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian packages, as root. Raises ``NoEngineError`` with the last lines of apt-get."""
    say(f"Installing {', '.join(packages)} with apt-get …")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "--quiet", *arguments],  # noqa: S607 - the system's own, as root.
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise NoEngineError(f"apt-get {' '.join(arguments)} failed:\n{lines}")


@contextlib.contextmanager
def podman_engine(folder: Path, say: Callable[[str], None] = print) -> Iterator[Engine]:
    """A Podman service of our own, root or rootless, over the user's usual store of images.

    What is missing is installed, as root on Debian or Ubuntu. Raises ``NoEngineError`` when Podman,
    or what it needs, is not there, or does not answer.
    """
    if _podman_lacks() and _can_install():
        install(PODMAN, say)
    if lacking := _podman_lacks():
        raise NoEngineError(f"{' and '.join(lacking).capitalize()} not installed: sudo {INSTALL_PODMAN}")
    command = ["podman", *_podman_runtime(), "system", "service", "--time", "0"]
    socket = _socket(folder, "podman.sock")
    with _service([*command, f"unix://{socket}"], socket, folder / "podman.log") as engine:
        yield engine


def _podman_lacks() -> list[str]:
    """What has to be installed for Podman to start containers here."""
    there = {
        "podman": shutil.which("podman"),
        "runc": _has_cgroup_v2() or shutil.which("runc"),
        "catatonit": shutil.which("catatonit") or any(path.exists() for path in INIT),
    }
    return [package for package in PODMAN if not there[package]]


def _has_cgroup_v2() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _podman_runtime() -> list[str]:
    """The runtime to ask for: crun, Podman's first choice, refuses cgroups that are not version 2."""
    return [] if _has_cgroup_v2() else ["--runtime", "runc"]


@contextlib.contextmanager
def docker_engine(folder: Path, say: Callable[[str], None] = print) -> Iterator[Engine]:
    """A Docker daemon of our own, with its images and everything else below ``folder``; needs root.

    It has no bridge and touches no firewall: the sandbox gives no container a network anyway.
    Installs ``docker.io`` where it is missing. Raises ``NoEngineError``.
    """
    if os.geteuid() != 0:
        raise NoEngineError("A Docker daemon of our own needs root: run this as root.")
    if shutil.which("dockerd") is None:
        if not _can_install():
            raise NoEngineError("There is no dockerd on this machine: sudo apt-get install docker.io")
        install(["docker.io"], say)
    socket = _socket(folder, "docker.sock")
    command = ["dockerd", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"]
    command += [f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"]
    command += [f"--pidfile={folder / 'docker.pid'}", f"--host=unix://{socket}"]
    with _service(command, socket, folder / "docker.log") as engine:
        yield engine


def _socket(folder: Path, name: str) -> Path:
    private_folder(folder)
    socket = folder.resolve() / name
    # The kernel's bound on the path of a Unix socket is 108 bytes with its end.
    if len(os.fsencode(socket)) > 107:
        raise NoEngineError(f"{socket} is too long for a socket: choose a shorter folder.")
    # Left by a service that was killed; a new one would wait for it or refuse to start.
    socket.unlink(missing_ok=True)
    return socket


@contextlib.contextmanager
def _service(command: Sequence[str], socket: Path, log: Path) -> Iterator[Engine]:
    before = _mount_points()
    # The monitor of a Podman container drops files where the service was started.
    process = spawn(command, log, cwd=socket.parent)
    try:
        deadline = time.monotonic() + START_S
        while not socket.is_socket():
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoEngineError(f"{command[0]} did not start:\n{tail(log)}")
            time.sleep(0.05)
        yield _answering(f"unix://{socket}", f"See {log}.")
    finally:
        end(process, STOP_S)
        socket.unlink(missing_ok=True)
        _unmount(_mount_points() - before)


def _mount_points() -> set[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {line.split(" ")[1].encode().decode("unicode_escape") for line in lines}


def _unmount(mounts: set[str]) -> None:
    """Undo what an engine leaves: a mount of its store on itself. One in use by others is left alone."""
    if os.geteuid() != 0:
        return
    for mount in sorted(mounts, reverse=True):
        subprocess.run(["umount", mount], stderr=subprocess.DEVNULL, check=False)  # noqa: S607
