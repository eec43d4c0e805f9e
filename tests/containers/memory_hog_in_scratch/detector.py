"""Takes memory as files in /tmp, which lie in memory."""

from pathlib import Path

chunk = bytes(1 << 20)
number = 0
with Path("/tmp/hoard").open("wb") as file:
    while True:
        file.write(chunk)
