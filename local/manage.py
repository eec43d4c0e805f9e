"""``make manage ARGS="…"``: a ``manage.py`` command against this machine's own PostgreSQL and Redis.

A running ``make serve`` or ``make demo`` is joined; otherwise the two are started for as long as the
command takes.
"""

from __future__ import annotations

import subprocess
import sys

from local.stack import ROOT, environment, home_folder
from local.terminal import until_interrupted


def main() -> int:
    code = 130
    with until_interrupted(), environment(home_folder()) as env:
        code = subprocess.run(
            [sys.executable, ROOT / "manage.py", *sys.argv[1:]], env=env, check=False
        ).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
