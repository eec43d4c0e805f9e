"""How batches, their reports and previews of their publication look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from protocols.errors import CATALOGUE
from tidemark.client import Json
from tidemark.tables import table

# The report lists up to a thousand of each; a terminal shows these, `--json` all.
MOST_LISTED = 5

PLACES = {
    "open": "joins the open window",
    "first": "waits for the first edition",
    "waiting": "older than the frontier: waits for an edition that is cut anew",
    "republished": "published before: waits for an edition that is cut anew",
    "pool": "a pool of real images: nothing runs",
}

PHASES = {"train": "training", "predict": "scoring"}


def terminal(*, stderr: bool = False) -> Console:
    """Where things are printed; names and reasons in it are text and never markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_batches(console: Console, batches: Iterable[Json]) -> None:
    listed = table("Batch", "Corpus", "Of", "State", ">Progress", ">Train", ">Eval", "Made")
    for batch in batches:
        share = f"{batch['progress'] or 0:.0%}" if batch["state"] == "checking" else ""
        listed.add_row(
            batch["id"],
            batch["corpus"],
            origin(batch),
            batch["state"],
            share,
            _count(batch["n_train"]),
            _count(batch["n_eval"]),
            str(batch["created_at"])[:10],
        )
    console.print(listed if listed.row_count else "There is no batch.")


def print_batch(console: Console, batch: Json) -> None:
    """What the check found: what was taken, rejected and why, near duplicates and the shortcut audit."""
    console.print(f"{origin(batch)} in {batch['corpus']}: {batch['state']}  ({batch['id']})", style="bold")
    if batch["state"] == "checking":
        console.print(f"  {batch['progress'] or 0:.0%} {batch['activity']}")
    if error := batch["error"]:
        console.print(f"  {error['what']} {error['detail']} {error['fix']}", style="red")
    if report := batch["report"]:
        _print_report(console, report)
    if audit := batch.get("audit"):
        _print_audit(console, audit)


def origin(batch: Json) -> str:
    return str(batch["generator"] or f"real images of {batch['real_source']}")


def _print_report(console: Console, report: Json) -> None:
    n_taken = report["n_train"] + report["n_eval"]
    n_rejected = sum(report["n_rejected"].values())
    console.print(
        f"  {_count(report['n_files'])} files: {_count(n_taken)} taken "
        f"({_count(report['n_train'])} train, {_count(report['n_eval'])} eval), {_count(n_rejected)} rejected"
    )
    if n_rejected:
        reasons = table(">Rejected", "", "~Why", indent=2)
        for code, n in sorted(report["n_rejected"].items(), key=lambda item: -item[1]):
            entry = CATALOGUE.get(code)
            reasons.add_row(_count(n), code, f"{entry.what} {entry.fix}" if entry else "")
        console.print(reasons)
        _print_some(console, [f"{row['name']}: {row['detail']}" for row in report["rejected"]], n_rejected)
    if n_near := report["n_near_duplicates"]:
        n_across = report.get("n_near", {}).get("across", 0)
        across = f", {_count(n_across)} of them between train and eval" if n_across else ""
        console.print(f"  {_count(n_near)} images have near duplicates and are kept{across}")
        lines = [
            f"{row['name']} ({row['split']}) looks like {row.get('other_name') or str(row['other'])[:12]} "
            f"({row['other_origin']}, {row['other_split']})"
            for row in report["near_duplicates"]
        ]
        _print_some(console, lines, n_near)


def _print_audit(console: Console, audit: Json) -> None:
    if reason := audit.get("reason"):
        console.print(f"  Shortcut audit: undefined. {reason}")
        return
    verdict = "beyond" if audit.get("exceeds") else "within"
    console.print(f"  Shortcut audit, metadata alone: {verdict} the bound of {_score(audit.get('bound'))}")
    reasons = audit.get("reasons") or {}
    for name, view in (audit.get("views") or {}).items():
        if view is None:
            console.print(f"    {name}: undefined. {reasons.get(name, '')}")
            continue
        bounds = f"({_score(view.get('low'))}–{_score(view.get('high'))})"
        strongest = sorted((view.get("features") or {}).items(), key=lambda item: -item[1])[:3]
        features = ", ".join(feature for feature, value in strongest if value > 0)
        goes_by = f"; it goes by {features}" if features else ""
        console.print(f"    {name}: AUROC {_score(view.get('auroc'))} {bounds}{goes_by}")


def print_preview(console: Console, preview: Json) -> None:
    """What publishing would start, and what stands against it."""
    console.print("Publication", style="bold")
    for row in preview["benchmarks"]:
        window = "" if row["window"] is None else f" w{row['window']}"
        closes = ", which is full with it" if row["closes"] else ""
        console.print(
            f"  {_slug(row['benchmark'])}: {PLACES.get(row['place'], row['place'])}{window}{closes}"
        )
        when = "after it closes" if row["place"] == "open" else "of the edition cut anew"
        costs = [("first contact", row["arrival"])]
        costs += [(f"{PHASES[cost['phase']]} {when}", cost) for cost in row["closing"]]
        work = table("", ">Steps", ">Reused", ">Container", ">GPU", ">Cost", indent=4)
        for name, cost in costs:
            if cost is not None:
                work.add_row(
                    name,
                    _count(cost["n_steps"]),
                    _count(cost["n_reused"]),
                    _duration(cost["container_s"]),
                    _duration(cost["gpu_s"]),
                    "–" if cost["cost"] is None else f"{cost['cost']:.2f} {preview['currency']}",
                )
        if work.row_count:
            console.print(work)
        if row["needs_approval"]:
            console.print("    The training after it waits for a maintainer's approval.")
        for warning in row["warnings"]:
            console.print(f"    Note: {warning}")
    if not preview["benchmarks"]:
        console.print("  No benchmark is built on this corpus: nothing runs.")
    for warning in preview["warnings"]:
        console.print(f"  Note: {warning}", style="yellow")
    for blocker in preview["blockers"]:
        console.print(f"  Can't be published: {blocker}", style="red")
    if preview["needs_reason"]:
        console.print("  The shortcut audit is beyond its bound: publishing needs --reason.", style="yellow")


def _print_some(console: Console, lines: list[str], total: int) -> None:
    for line in lines[:MOST_LISTED]:
        console.print(f"    {line}")
    if total > MOST_LISTED:
        console.print(
            f"    … and {_count(total - min(MOST_LISTED, len(lines)))} more; --json lists up to 1,000"
        )


def _slug(benchmark: Any) -> str:
    return str(benchmark["slug"] if isinstance(benchmark, dict) else benchmark)


def _count(value: int) -> str:
    return f"{value:,}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
