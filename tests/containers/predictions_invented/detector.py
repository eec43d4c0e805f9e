"""Names an image that does not exist."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

rows = [f"{i},0.5\n" for i in [*ids[1:], "0" * 32]]
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(rows))
