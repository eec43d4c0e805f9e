"""``make serve``: the whole stack on this machine until Ctrl-C; the environment may set PORT and WORKERS."""

from __future__ import annotations

import os
import signal
import sys

from local.engine import NoEngineError
from local.stack import StackError, home_folder, stack
from local.terminal import fail, say, until_interrupted


def port_and_workers() -> tuple[int, int]:
    """What the environment sets, or port 8000 and one worker."""
    return int(os.environ.get("PORT") or 8000), int(os.environ.get("WORKERS") or 1)


def main() -> int:
    port, workers = port_and_workers()
    with until_interrupted():
        try:
            with stack(home_folder(), port=port, workers=workers, say=say) as site:
                say(f"Tidemark serves {site.url}; its logs are in {site.home / 'logs'}. Ctrl-C stops it.")
                signal.pause()
        except (StackError, NoEngineError) as error:
            return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
