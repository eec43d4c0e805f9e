"""How entries, results and generators look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from tidemark.client import Json
from tidemark.tables import table
from tidemark.watch import Standing, standing

PERIODS = {
    "next": "Next (not seen)",
    "past": "Past (trained on)",
    "whole": "Whole",
}


def print_entries(console: Console, rows: Iterable[Json]) -> None:
    made = table("ID", "Entry", "Benchmark", "Team", "State", ">Entered")
    for row in rows:
        day = str(row["created_at"])[:10]
        made.add_row(row["id"], row["name"], row["benchmark"], row["team"], row["state"], day)
    console.print(made if made.row_count else "You have entered nothing yet: `tidemark submit`.")


def print_entry(console: Console, submission: Json) -> None:
    """Where one entry stands, and the steps of its newest run."""
    now = standing(submission)
    console.print(f"{now.name} on {submission['benchmark']}: {now.state}  ({submission['id']})", style="bold")
    for line in lines_of(now):
        console.print(f"  {line}")
    if submission["runs"]:
        made = table("Phase", ">Window", "State", ">Progress", ">Seconds", ">Step", "~What")
        for step in submission["runs"][0]["steps"]:
            seconds = step["timings"].get("container")
            made.add_row(
                step["phase"],
                str(step["window"]) + (f" {step['generator']}" if step["generator"] else ""),
                "reused" if step["reused"] else step["state"],
                f"{step['progress'] or 0:.0%}",
                "" if seconds is None else f"{seconds:.1f}",
                str(step["id"]),
                (step["error"] or {}).get("what") or step["waits_for"] or step["activity"],
            )
        console.print(made)


def lines_of(now: Standing) -> list[str]:
    """A standing in words: what it does, the place in the queue, how far it is, what it cost."""
    said = [now.text]
    if now.queue_position is not None:
        wait = "" if now.expected_wait_s is None else f", begins in about {duration(now.expected_wait_s)}"
        said.append(f"place {now.queue_position} in the queue{wait}")
    if now.steps:
        said.append(f"{now.steps_done} of {now.steps} steps")
    if now.cost_s:
        said.append(f"{duration(now.cost_s)} in containers so far")
    return said


def print_results(console: Console, found: Json) -> None:
    """Averages with intervals, each window's Next, first contacts and the matrix."""
    entry = found["entry"]
    simulated = ", simulated images" if found["simulated"] else ""
    console.print(f"{found['name']} on {found['benchmark']}{simulated}", style="bold")
    if entry is None:
        console.print("There is no score yet: `tidemark watch` shows what it waits for.")
        return
    console.print(
        f"Rank {place(entry)} of {found['n_ranked']}.  AUROC in %, with its 95 % interval over images."
    )
    averages = table("Period", ">AUROC", ">Low", ">High", ">Windows")
    for period, name in PERIODS.items():
        mean = entry[period]
        averages.add_row(name, *_estimate(mean), str(entry["n_windows"]))
    console.print(averages)
    contacts = table(
        *("Generator", "Released", ">Window", ">First contact", ">Low", ">High", ">After", ">Last", "Sealed")
    )
    for row in found["generators"]:
        generator = row["generator"]
        sealed = {True: "before", False: "after", None: ""}[row["prospective"]]
        contacts.add_row(
            generator["name"],
            generator["release_date"],
            _window(generator),
            *_estimate(row["before"]["auroc"]),
            percent(row["after"]["auroc"]["value"]),
            percent(row["last"]["auroc"]["value"]),
            sealed,
        )
    console.print()
    console.print(contacts)
    if found["matrix"]:
        console.print("\nThe matrix: a row for each generator, a column for each window trained.")
        matrix = table("Generator", *(f">w{window}" for window in range(len(found["matrix"]))))
        for generator, *cells in zip(found["timeline"]["generators"], *found["matrix"], strict=True):
            matrix.add_row(generator["slug"], *(percent(cell["value"]) for cell in cells))
        console.print(matrix)


def print_generators(console: Console, rows: Iterable[Json]) -> None:
    made = table("Released", "Generator", "Family", "ID", ">Window")
    for row in rows:
        made.add_row(row["release_date"], row["name"], row["family"], row["slug"], _window(row))
    console.print(made if made.row_count else "There is no generator yet.")


def _window(generator: Json) -> str:
    if "window" not in generator:
        return ""
    if generator["window"] is None:
        return "waits"
    return f"{generator['window']} (open)" if generator["is_open"] else str(generator["window"])


def _estimate(estimate: Json) -> tuple[str, str, str]:
    return (percent(estimate["value"]), percent(estimate["low"]), percent(estimate["high"]))


def place(entry: Json) -> str:
    """The rank, with the ranks that the data leave open; a dash where there is none."""
    rank, best, worst = entry["rank"], entry["rank_best"], entry["rank_worst"]
    if rank is None:
        return "–"
    return str(rank) if best == worst else f"{rank} ({best}–{worst})"


def percent(value: float | None) -> str:
    """A share as a number of percent; a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.1f}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
