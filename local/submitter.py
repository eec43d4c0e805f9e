"""What a submitter does through the API: enter a detector, watch it run, look at the ranking."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from local.terminal import POLL_S, bars, say, say_table
from tidemark.client import Api, Json
from tidemark.results import percent, place
from tidemark.tables import table
from tidemark.watch import standing


def submit(api: Api, benchmark: str, name: str, archive: Path) -> str:
    """The id of the submission of this name, with its archive handed in."""
    mine = api.list("submissions/", benchmark=benchmark, name=name, mine=True)
    entered = next((row for row in mine if row["state"] not in ("rejected", "withdrawn")), None)
    submission = entered or api.post(
        "submissions/",
        benchmark=benchmark,
        name=name,
        description=f"The reference detector in docker/detectors/{name}/.",
    )
    if submission["state"] in ("draft", "uploading"):
        with bars() as progress:
            bar = progress.add_task(f"Uploading {name}", activity="")
            upload = api.upload(archive, lambda sent, size: progress.update(bar, completed=sent, total=size))
        api.post(f"submissions/{submission['id']}/upload/", upload=upload)
    return str(submission["id"])


def watch(api: Api, submissions: Sequence[str]) -> None:
    """Show every detector's progress until none has anything left to run."""
    with bars() as progress:
        shown = {submission: progress.add_task("…", total=1.0, activity="") for submission in submissions}
        live = list(submissions)
        while live:
            for submission in list(live):
                now = standing(api.get(f"submissions/{submission}/"))
                steps = f"{now.steps_done}/{now.steps} steps, " if now.steps else ""
                progress.update(
                    shown[submission],
                    description=now.name,
                    completed=now.progress,
                    activity=f"{steps}{now.text}",
                )
                if now.exit is not None:
                    live.remove(submission)
            time.sleep(POLL_S if live else 0)


def current_board(api: Api, benchmark: str) -> Json:
    """The leaderboard, once it shows all that has happened."""
    while True:
        board = api.get(f"benchmarks/{benchmark}/leaderboard/")
        if board["shown"] and board["shown"]["is_current"]:
            return board
        time.sleep(POLL_S)


def title(entry: Json) -> str:
    """A detector's name; what the server made itself says so."""
    return f"{entry['name']} (null row)" if entry["null_row"] else str(entry["name"])


def print_ranking(api: Api, benchmark: str) -> None:
    """The leaderboard as a table; an undefined value is a dash."""
    board = current_board(api, benchmark)
    simulated = ", simulated images" if board["simulated"] else ""
    say(f"\n{benchmark}{simulated}: AUROC in %, averaged over time; then Next by window\n")
    n_windows = max((len(row["windows"]) for row in board["rows"]), default=0)
    windows = (f">w{index}" for index in range(1, n_windows + 1))
    ranking = table("Rank", "Detector", ">Next", ">95 %", ">Past", ">Whole", *windows, ">Cost")
    for row in board["rows"]:
        entry = row["entry"]
        low, high = (percent(entry["next"][bound]) for bound in ("low", "high"))
        values = [percent(entry[period]["value"]) for period in ("next", "past", "whole")]
        values.insert(1, f"{low}–{high}")
        values += [percent(window["value"]) for window in row["windows"]]
        cost = "–" if row["cost_s"] is None else f"{row['cost_s']:.0f} s"
        ranking.add_row(place(entry), title(entry), *values, cost)
    say_table(ranking)
