"""Leaves a device."""

import os
import stat

# The one device that a program without privileges may make.
os.mknod("/bench/state/weights", 0o644 | stat.S_IFCHR, os.makedev(0, 0))
