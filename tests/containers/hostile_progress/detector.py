"""Reports progress that is none."""

from pathlib import Path

ids = Path("/bench/eval/image_ids.txt").read_text().split()

print('{"progress": ' * 5000)
print('{"progress": 1e999}')
print('{"progress": NaN}')
print('{"progress": ' + "9" * 5000 + "}")
print('{"progress": "1"}')
print('{"progress": true}')
print('{"progress": ' + "[" * 2000 + "}")
print("{" + "x" * 100_000)
print(b"\xff\xfe".decode("latin-1"), "\0 \x1b[2J", flush=True)
print('{"progress": -3, "note": [1, 2]}')
print('{"progress": 7}')
Path("/bench/output/predictions.csv").write_text("image_id,score\n" + "".join(f"{i},0.5\n" for i in ids))
