"""Ends well and leaves a daemon behind."""

import os
import time
from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(f"{i},0.5\n" for i in ids))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
