"""Leaves more files than are granted, all empty."""

import os

folder = os.open("/bench/state", os.O_RDONLY)
for number in range(20_000):
    os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY, dir_fd=folder))
