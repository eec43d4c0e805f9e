"""Is stopped, so that it can't even take a signal."""

import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
