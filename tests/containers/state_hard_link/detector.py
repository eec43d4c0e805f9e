"""Leaves two names of one file."""

import os
from pathlib import Path

Path("/bench/state/weights").write_text("image_id,score")
os.link("/bench/state/weights", "/bench/state/other")
