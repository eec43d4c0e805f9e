"""Laying out the folder of one phase, beside its data and its state."""

from __future__ import annotations

from pathlib import Path

from protocols.contract import StepRequest


def make_place(folder: Path, request: StepRequest) -> tuple[Path, Path]:
    """Write the request and make the empty output folder; returns the paths of both.

    ``folder`` may be closed to all others; inside the sandbox the modes of the mounts count.
    """
    request_file, output = folder / "request.json", folder / "output"
    request_file.write_text(request.to_json())
    output.mkdir()
    request_file.chmod(0o444)
    output.chmod(0o755)
    return request_file, output
