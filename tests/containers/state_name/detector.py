"""Leaves a file whose name is no text."""

import os

os.close(os.open(b"/bench/state/\xff\n", os.O_CREAT | os.O_WRONLY))
