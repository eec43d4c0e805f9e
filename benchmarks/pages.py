"""What every public page costs with 10,000 detectors, 36 generators and 9 windows on the board.

    python -m benchmarks.pages [DETECTORS] [FOLDER]

The production server as ``make serve`` starts it (gunicorn, 2 workers of 8 threads), PostgreSQL, Redis
and the load generator, wrk, share two cores over the loopback: nothing is pinned to one of them, so
what wrk takes is missing to the server. *Cold* is with ``PAGE_CACHE_S=0``, so each request is rendered
from the board; *warm* is with its default. Latencies are of one request after another, network and
all; the rate is of 16 connections at once. Queries are counted inside a process, cold. The database
is made by ``manage.py make_load`` and stays in FOLDER, if there is one, for the next time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import django
import httpx

N_DETECTORS = 10_000
SLUG = "load"
CORES = 2
# Of each page and kind of server: requests one after another at the most, and for how long.
N_REQUESTS, LONGEST_S = 60, 4.0
RATE_S, CONNECTIONS = 3, 16
# What wrk no longer waits for is still being rendered, and would slow down what is measured next.
DRAIN_S = 3.0
READY_S = 60.0


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("The load generator is missing: sudo apt-get install wrk")
    # The same cores for all that starts from here.
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[:CORES]))
    from local.stack import environment

    n_detectors = int(sys.argv[1]) if len(sys.argv) > 1 else N_DETECTORS
    with ExitStack() as parts:
        home = Path(sys.argv[2]) if len(sys.argv) > 2 else None
        home = home or Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        env = parts.enter_context(environment(home.resolve())) | {
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "LOG_LEVEL": "WARNING",
            # All requests come from one address. They are counted, and there is no end to them.
            "THROTTLE_ADDRESS": "1000000000/min",
        }
        os.environ |= env
        django.setup()
        prepare(n_detectors)
        measure(addresses(), env)


def prepare(n_detectors: int) -> None:
    """The tables, the assets and the detectors, as far as they are not there yet."""
    from django.core.management import call_command

    from leaderboard.models import Benchmark

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    if not Benchmark.objects.filter(slug=SLUG).exists():
        call_command("make_load", slug=SLUG, detectors=n_detectors, yes=True)


def addresses() -> dict[str, str]:
    """The pages by name."""
    from django.urls import reverse

    from leaderboard.models import Submission

    entries = Submission.objects.filter(benchmark__slug=SLUG, accepted_at__isnull=False, null_row="")
    best, other = entries.filter(name__endswith="-00000").get(), entries.filter(name__endswith="-00001").get()
    board, contacts = reverse("leaderboard", args=[SLUG]), reverse("first-contact", args=[SLUG])
    return {
        "home": reverse("home"),
        "leaderboard": board,
        "leaderboard, by past": f"{board}?sort=-past",
        "leaderboard, by cost": f"{board}?sort=cost",
        "leaderboard, by name": f"{board}?sort=name",
        "leaderboard, metrics": f"{board}?columns=metrics",
        "leaderboard, training-free": f"{board}?track=training-free",
        "leaderboard, prospective": f"{board}?prospective=1",
        "leaderboard, one family": f"{board}?family=diffusion",
        "leaderboard, search": f"{board}?q=heron",
        "leaderboard, page 2": f"{board}?page=2",
        "leaderboard, as of": f"{board}?asof=edition-1",
        "first contact": contacts,
        "first contact, page 2": f"{contacts}?page=2",
        "trends": reverse("trends", args=[SLUG]),
        "detector": reverse("detector", args=[best.pk]),
        "compare": f"{reverse('compare', args=[SLUG])}?d={best.pk}&d={other.pk}",
        "generator": reverse("generator", args=[SLUG, "invented-36"]),
        "generators": reverse("generators", args=[SLUG]),
        "API, leaderboard": reverse("api:leaderboard", args=[SLUG]),
    }


def measure(pages: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Print a line for each page and kind of server."""
    queries = {name: n_queries(address) for name, address in pages.items()}
    print(f"on {CORES} cores; ms of one request after another; kB of the body, as gzip and plain")
    for kind, kept_s in (("cold", "0"), ("warm", "2")):
        print(f"\n{kind:<28}{'queries':>8}{'p50':>8}{'p95':>8}{'a second':>10}{'gzip':>9}{'plain':>9}")
        with served(env | {"PAGE_CACHE_S": kept_s}) as url, httpx.Client(base_url=url) as client:
            for name, address in pages.items():
                cuts = statistics.quantiles(latencies(client, address), n=20)
                plain = client.get(address, headers={"Accept-Encoding": "identity"}).content
                print(
                    f"{name:<28}{queries[name]:>8}{cuts[9]:>8.1f}{cuts[18]:>8.1f}{rate(url + address):>10.0f}"
                    f"{sent_bytes(client, address) / 1000:>6.0f} kB{len(plain) / 1000:>6.0f} kB",
                    flush=True,
                )


def n_queries(address: str) -> int:
    """The queries of a page that is rendered, once the process has the board in memory."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.PAGE_CACHE_S = 0
    client = Client()
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200, address
    return len(queries)


@contextlib.contextmanager
def served(env: Mapping[str, str]) -> Iterator[str]:
    """The production server, until the context ends."""
    from local.stack import web_command

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(web_command(port), env=dict(env), stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + READY_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/health/live", timeout=10.0)
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("the server does not answer")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def latencies(client: httpx.Client, address: str) -> list[float]:
    """Milliseconds of requests one after another, once both workers have the board in memory."""
    for _ in range(8):
        assert client.get(address, timeout=60.0).status_code == 200, address
    seen: list[float] = []
    deadline = time.monotonic() + LONGEST_S
    while len(seen) < N_REQUESTS and time.monotonic() < deadline:
        began = time.perf_counter()
        client.get(address)
        seen.append(1000 * (time.perf_counter() - began))
    return seen


def sent_bytes(client: httpx.Client, address: str) -> int:
    with client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as response:
        return sum(map(len, response.iter_raw()))


def rate(url: str) -> float:
    """Requests a second that wrk gets answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{RATE_S}s", "--timeout", "30s"]
    command += ["-H", "Accept-Encoding: gzip", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    time.sleep(DRAIN_S)
    if "Non-2xx" in said:
        raise RuntimeError(f"{url} failed under load:\n{said}")
    match = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(match[1]) if match else 0.0


if __name__ == "__main__":
    main()
