"""Upload of a large archive to the production server, next to ``curl -T`` to a plain static server.

    python -m benchmarks.upload [GiB] [--repeats N]

The server is gunicorn as ``make serve`` starts it, with an embedded PostgreSQL and Redis; the plain
one is nginx with its DAV module where it is installed, else a receiver of thirty lines that writes
what it gets to a file. The archive lies in memory where there is room, both write to the same disk,
and the kernel is told to write everything out before each run. Ours also hashes, and syncs the file
before it answers; the plain server does neither. Then the upload is done again with its client and
then the server's process killed on the way.
"""

# ruff: noqa: S603, S607 - the commands and their arguments are ours.

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import psutil

from local.processes import free_port, spawn
from local.stack import _manage, _services, _wait_until_ready, environment
from local.supervisor import Supervisor

GIB = 2**30
BLOCK_BYTES = 2**24
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - no file of a guessable name is made in it.
TUS = {"Tus-Resumable": "1.0.0"}
BODY_TYPE = "application/offset+octet-stream"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}/body; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; dav_methods PUT DELETE; }}
}}
"""


def make_archive(path: Path, size: int) -> str:
    """Random bytes, which nothing on the way can make smaller; returns what sha256sum says."""
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        for _ in range(size // BLOCK_BYTES):
            file.write(rng.bytes(BLOCK_BYTES))
        file.write(rng.bytes(size % BLOCK_BYTES))
    done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def roomy(home: Path, size: int) -> Path:
    """Where the archive may lie without its reader and its writers sharing the disk."""
    if not SHARED_MEMORY.is_dir():
        return home
    left = min(shutil.disk_usage(SHARED_MEMORY).free, psutil.virtual_memory().available)
    return SHARED_MEMORY if left > 2 * size else home


class Receiver(socketserver.StreamRequestHandler):
    """PUT to a file, and nothing else."""

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if name.lower() == b"expect":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        target = Path(str(self.server.target))  # type: ignore[attr-defined]
        with target.open("wb") as file:
            while length and (data := self.rfile.read1(min(length, 1 << 20))):
                file.write(data)
                length -= len(data)
        self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def wait_for_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("the plain server did not start")


@contextlib.contextmanager
def plain_server(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Its name, where to send a file, and where that lies afterwards."""
    (folder / "root").mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "root").chmod(0o777)
    target, port = folder / "root" / "archive", free_port()
    url = f"http://127.0.0.1:{port}/archive"
    if nginx := shutil.which("nginx"):
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        process = spawn([nginx, "-p", folder, "-c", config, "-e", folder / "error.log"], folder / "log")
        try:
            wait_for_port(port)
            yield "nginx", url, target
        finally:
            process.terminate()
            process.wait()
        return
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Receiver) as server:
        server.target = target  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "a plain receiver", url, target
        server.shutdown()


@contextlib.contextmanager
def our_server(home: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    with contextlib.ExitStack() as parts:
        os.environ.pop("DATABASE_URL", None)
        env = {**parts.enter_context(environment(home)), "LOG_LEVEL": "WARNING"}
        for command in (["migrate", "--no-input"], ["collectstatic", "--no-input"]):
            _manage(command, env, home / "set-up.log")
        port = free_port()
        supervisor = parts.enter_context(Supervisor(home / "logs", print))
        supervisor.start(next(each for each in _services(env, port, 1) if each.name == "web"))
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, supervisor.log("web"))
        yield url, env


def token(env: Mapping[str, str]) -> str:
    command = [sys.executable, "manage.py", "create_token", "bench"]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def web_processes() -> list[psutil.Process]:
    """gunicorn's workers: children of the children of this process."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any("gunicorn" in word for word in process.cmdline()):
                found += process.children()
    return found


class Memory:
    """The largest RSS of any web process, and how far it rose over the first sample."""

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        self.peak = self.rise = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            for process in web_processes():
                with contextlib.suppress(psutil.Error):
                    rss = process.memory_info().rss
                    first = self.first.setdefault(process.pid, rss)
                    self.peak, self.rise = max(self.peak, rss), max(self.rise, rss - first)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Client:
    """What a caller with curl does."""

    def __init__(self, url: str, token: str, archive: Path) -> None:
        self.url, self.archive, self.size = url, archive, archive.stat().st_size
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Token {token}", **TUS}, timeout=60)

    def begin(self) -> str:
        answer = self.http.post("/api/v1/uploads/", headers={"Upload-Length": str(self.size)})
        answer.raise_for_status()
        return answer.headers["Location"]

    def offset(self, upload: str) -> int:
        return int(self.http.head(upload).headers["Upload-Offset"])

    def send(self, upload: str, offset: int) -> subprocess.Popen[bytes]:
        """curl, from the offset on."""
        headers = dict(self.http.headers) | {"Upload-Offset": str(offset), "Content-Type": BODY_TYPE}
        wanted = ("authorization", "tus-resumable", "upload-offset", "content-type")
        words = [f"-H{name}: {value}" for name, value in headers.items() if name.lower() in wanted]
        command = ["curl", "-sS", "--fail-with-body", "-XPATCH", *words, f"{self.url}{upload}"]
        if not offset:
            return subprocess.Popen([*command, "-T", self.archive])
        # tail is how the documents go on; its pipe has no length, so curl is told it.
        words = ["-T-", "-HTransfer-Encoding:", f"-HContent-Length: {self.size - offset}"]
        rest = subprocess.Popen(["tail", "-c", f"+{offset + 1}", self.archive], stdout=subprocess.PIPE)
        return subprocess.Popen([*command, *words], stdin=rest.stdout)

    def sha256(self, upload: str) -> str:
        rows = self.http.get("/api/v1/uploads/").json()["results"]
        return str(next(row["sha256"] for row in rows if upload.endswith(row["id"])))

    def forget(self, upload: str) -> None:
        self.http.delete(upload).raise_for_status()


def timed(begin: Callable[[], subprocess.Popen[bytes]]) -> float:
    os.sync()
    start = time.perf_counter()
    ran(begin())
    return time.perf_counter() - start


def ran(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise RuntimeError("curl failed")


def compare(client: Client, plain: str, target: Path, digest: str, name: str, repeats: int) -> None:
    ours, theirs = [], []
    with Memory() as memory:
        for _ in range(repeats):
            theirs.append(timed(lambda: subprocess.Popen(["curl", "-sS", "-fT", client.archive, plain])))
            target.unlink()
            upload = client.begin()
            ours.append(timed(partial(client.send, upload, 0)))
            assert client.sha256(upload) == digest
            client.forget(upload)
    for label, times in ((f"curl -T to {name}", theirs), ("tus by curl, hashed and synced", ours)):
        best, median = min(times), statistics.median(times)
        rate = client.size / median / 1e6
        print(f"{label:<32} {median:6.2f} s (best {best:.2f} s), {rate:5.0f} MB/s")
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"throughput of ours: {ratio:.2f} of that of {name} (median of {repeats}, in turns)")
    print(
        f"web processes: RSS at most {memory.peak / 2**20:.0f} MiB, {memory.rise / 2**20:.1f} MiB of it new"
    )


def interrupted(client: Client, digest: str) -> None:
    """Kill the client after a third, the server's process after two, and go on each time."""
    upload = client.begin()
    offsets = [0]
    with Memory() as memory:
        for part, kill in ((1, kill_client), (2, kill_server)):
            process = client.send(upload, offsets[-1])
            while client.offset(upload) < part * client.size // 3:
                if process.poll() is not None:
                    raise RuntimeError("curl was done before it could be cut off")
                time.sleep(0.005)
            kill(process, upload)
            process.wait()
            offsets.append(settled(client, upload))
        ran(client.send(upload, offsets[-1]))
    same = client.sha256(upload) == digest
    print(f"cut off at {', '.join(f'{offset / client.size:.0%}' for offset in offsets[1:])} and resumed:")
    print(f"digest {'equal to' if same else 'DIFFERENT FROM'} that of sha256sum")
    print(f"web processes: RSS at most {memory.peak / 2**20:.0f} MiB")
    client.forget(upload)
    assert same


def kill_client(process: subprocess.Popen[bytes], _upload: str) -> None:
    process.kill()


def kill_server(_process: subprocess.Popen[bytes], upload: str) -> None:
    """The one that has the upload open."""
    name = upload.rsplit("/", 1)[1]
    for worker in web_processes():
        if any(name in file.path for file in worker.open_files()):
            os.kill(worker.pid, signal.SIGKILL)


def settled(client: Client, upload: str) -> int:
    """The offset once nobody writes any more."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            before = client.offset(upload)
            time.sleep(0.5)
            if client.offset(upload) == before:
                return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("gib", nargs="?", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    size = int(arguments.gib * GIB)
    with contextlib.ExitStack() as parts:
        home = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        if shutil.disk_usage(home).free < 4 * size:
            raise SystemExit(f"{home} has no room for four times {size} bytes.")
        folder = parts.enter_context(tempfile.TemporaryDirectory(dir=roomy(home, size)))
        archive = Path(folder) / "archive"
        digest = make_archive(archive, size)
        print(f"{size / GIB:g} GiB")
        url, env = parts.enter_context(our_server(home / "server"))
        name, plain, target = parts.enter_context(plain_server(home / "plain"))
        client = Client(url, token(env), archive)
        compare(client, plain, target, digest, name, arguments.repeats)
        interrupted(client, digest)


if __name__ == "__main__":
    main()
