"""Looks dead to whoever only watches its output."""

import os
import time

for descriptor in range(3):
    os.close(descriptor)
time.sleep(60)
