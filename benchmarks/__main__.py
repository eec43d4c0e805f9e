"""``make bench``: every benchmark, each in a process of its own."""

import subprocess
import sys

for name in ("steps", "staging", "arrival", "upload", "duplicates", "score_dump", "pages"):
    print(f"\n{name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)  # noqa: S603 - our own modules
