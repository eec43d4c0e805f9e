"""Names an image twice."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

rows = [f"{i},0.5\n" for i in [ids[0], *ids[:-1]]]
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(rows))
