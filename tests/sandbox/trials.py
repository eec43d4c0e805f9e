"""A detector image whose behaviour in a trial its seed chooses, without a package but Python's own."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from docker.client import DockerClient
from docker.errors import NotFound

from protocols.contract import LABEL_CONTRACT, LABEL_PHASES


class Behaviour(IntEnum):
    """The seeds, by what they make the detector do."""

    WORKS = 0
    FAILS_IN_TRAINING = 1
    FAILS_IN_PREDICTION = 2
    HANGS_IN_TRAINING = 3
    HANGS_IN_PREDICTION = 4
    LEAVES_A_LINK = 5
    FORGETS_AN_IMAGE = 6
    PRINTS_MUCH = 7
    EATS_MEMORY = 8


DETECTOR = """
import json, os, pathlib, re, sys, time
phase = sys.argv[1]
request = json.loads(pathlib.Path("/bench/request.json").read_text())
behaviour, state = request["seed"], pathlib.Path("/bench/state")
print(phase, "begins", flush=True)
print(json.dumps({"progress": 0.5}), flush=True)
if phase == "train":
    if behaviour == 1:
        raise ValueError("no such layer: sample head")
    if behaviour == 3:
        time.sleep(600)
    if behaviour == 5:
        (state / "link").symlink_to("/etc/passwd")
    if behaviour == 7:
        for number in range(20000):
            print("line", number, "x" * 20)
    if behaviour == 8:
        held = bytearray(64 << 20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(1)
    (state / "head").mkdir()
    (state / "head" / "weights").write_text(str(sum(map(len, os.listdir("/bench/train")))))
    (state / "tool").write_text("#!/bin/sh")
    (state / "tool").chmod(0o700)
else:
    if request["budget"]["state_bytes"] and os.path.exists("/bench/train"):
        raise SystemExit("training images are in sight")
    print("state:", sorted(os.listdir(state)), os.access(state / "tool", os.X_OK), flush=True)
    if behaviour == 2:
        raise ValueError("no such layer: sample tail")
    if behaviour == 4:
        time.sleep(600)
    raw = b"".join(path.read_bytes() for path in sorted(pathlib.Path("/bench/eval").glob("*.arrow")))
    ids = [found.decode() for found in re.findall(rb"[0-9a-f]{32}", raw)]
    rows = [f"{one},{int(one[:2], 16) / 255}" for one in ids[behaviour == 6:]]
    pathlib.Path("/bench/output/predictions.csv").write_text("\\n".join(["image_id,score", *rows]) + "\\n")
print(phase, "is done", flush=True)
"""


def make_trial_image(client: DockerClient, base: str, name: str, *, phases: str = "train,predict") -> str:
    """Make the image ``name`` of this detector on top of ``base``, which has Python; returns its id."""
    container = client.containers.create(base, command=["train"])
    try:
        changes = [
            f"ENTRYPOINT {json.dumps(['python3', '-c', DETECTOR])}",
            "CMD []",
            f"LABEL {LABEL_CONTRACT}=1",
            f"LABEL {LABEL_PHASES}={phases}",
        ]
        container.commit(name, changes=changes)
    finally:
        container.remove()
    image_id: str = client.api.inspect_image(name)["Id"]
    return image_id


def save_image(client: DockerClient, name: str, path: Path) -> Path:
    """Save the image as a docker archive and forget it."""
    with path.open("wb") as file:
        file.writelines(client.images.get(name).save(named=True))
    forget_image(client, name)
    return path


def forget_image(client: DockerClient, name: str) -> None:
    with suppress(NotFound):
        client.images.remove(name, force=True)
