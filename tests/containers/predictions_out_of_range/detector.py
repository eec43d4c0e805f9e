"""Logits instead of probabilities."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

rows = [f"{i},{score}\n" for i, score in zip(ids, (0.5, 1.0000001, -3), strict=True)]
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(rows))
