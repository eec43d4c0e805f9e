"""Leaves an image out."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

rows = [f"{i},0.5\n" for i in ids[1:]]
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(rows))
