"""Where an entry stands: what it waits for, what it does, how far it is, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidemark.client import Api, Json, why
from tidemark.exits import Exit

POLL_S = 1.0
# An entry that waits changes rarely.
SLOWEST_POLL_S = 5.0
DOING = {"train": "training", "predict": "scoring"}
LIVE_RUN = ("queued", "running")


@dataclass(frozen=True)
class Standing:
    """``text`` is what it does or waits for, or how it ended; ``exit`` is None while it is not over."""

    name: str
    state: str
    text: str
    progress: float
    steps_done: int
    steps: int
    queue_position: int | None
    expected_wait_s: float | None
    cost_s: float | None
    error: Json | None
    exit: Exit | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def watch(api: Api, submission_id: str, show: Callable[[Standing], None]) -> Standing:
    """Follow an entry until it is over; ``show`` gets every change but those of estimates alone."""
    shown, delay = None, POLL_S
    while True:
        now = standing(api.get(f"submissions/{submission_id}/"))
        if shown is None or replace(now, expected_wait_s=None, cost_s=None) != shown:
            show(now)
            shown, delay = replace(now, expected_wait_s=None, cost_s=None), POLL_S
        if now.exit is not None:
            return now
        time.sleep(delay)
        delay = min(delay * 1.2, SLOWEST_POLL_S)


def standing(submission: Json) -> Standing:
    """What a submission, as the API shows it, is doing."""
    live = [run for run in submission["runs"] if run["state"] in LIVE_RUN]
    # The newest edition comes first.
    run = (live or submission["runs"] or [None])[0]
    if submission["state"] == "accepted" and run is not None:
        return _of_run(submission, run)
    return _before_runs(submission)


def _before_runs(submission: Json) -> Standing:
    state = submission["state"]
    text = submission["waits_for"] or submission["activity"] or state
    share, exit = submission["progress"] or 0.0, None
    match state:
        case "draft":
            text, exit = "waits for its archive", Exit.REFUSED
        case "uploading":
            sent, size = submission["uploaded_bytes"] or 0, submission["upload_bytes"] or 0
            text = f"{sent / 1e6:,.1f} of {size / 1e6:,.1f} MB have arrived"
            share = sent / size if size else 0.0
        case "rejected":
            text, exit = why(submission), fault(submission["error"])
        case "withdrawn":
            text, exit = "withdrawn", Exit.WITHDRAWN
        case "accepted":
            # Nothing is left to do, as there is no edition to run on yet.
            text, exit, share = submission["waits_for"] or "accepted", Exit.DONE, 1.0
    return Standing(
        name=submission["name"],
        state=state,
        text=text,
        progress=share,
        steps_done=0,
        steps=0,
        queue_position=submission["queue_position"],
        expected_wait_s=submission["expected_wait_s"],
        cost_s=submission["cost_s"],
        error=submission["error"],
        exit=exit,
    )


def _of_run(submission: Json, run: Json) -> Standing:
    steps = run["steps"]
    running = [step for step in steps if step["state"] == "running"]
    ready = [step for step in steps if step["state"] == "ready"]
    exit, text = None, ""
    if run["state"] in LIVE_RUN:
        if running:
            text = ", ".join(_doing(step) for step in running)
        elif ready:
            text = ready[0]["waits_for"] or "waits for a worker"
        else:
            text = next((step["waits_for"] for step in steps if step["waits_for"]), None) or run["state"]
    elif run["state"] == "succeeded":
        text, exit = "all windows are scored", Exit.DONE
    elif run["state"] == "failed":
        text, exit = why(run), fault(run["error"])
    else:
        text, exit = "cancelled", Exit.WITHDRAWN
    next_ready = ready[0] if ready and not running else None
    return Standing(
        name=submission["name"],
        state=run["state"],
        text=text,
        progress=run["progress"] or 0.0,
        steps_done=sum(step["state"] == "succeeded" for step in steps),
        steps=len(steps),
        queue_position=next_ready["queue_position"] if next_ready else None,
        expected_wait_s=next_ready["expected_wait_s"] if next_ready else None,
        cost_s=submission["cost_s"],
        error=run["error"],
        exit=exit,
    )


def _doing(step: Json) -> str:
    met = f" {step['generator']}" if step["generator"] else ""
    activity = f" ({step['activity']})" if step["activity"] else ""
    return f"{DOING[step['phase']]} window {step['window']}{met} {step['progress'] or 0:.0%}{activity}"


def fault(error: Json | None) -> Exit:
    """The exit code for what ended badly, by whose fault it was."""
    return Exit.PLATFORM if error and error["owner"] == "platform" else Exit.REJECTED
