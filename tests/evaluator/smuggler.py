"""A detector that reads evaluation images and tries to get bits of them out, in every way there is.

Its seed says how: twice the position of the way in ``WAYS`` and ``OPEN_WAYS``, plus 1 or not. The secret
is made of the pixels of an image and of that last bit, so two runs of one way have two secrets to tell
of the same images. ``docs/decisions/0009`` counts what gets through.
"""

from __future__ import annotations

# Every secret begins with this, so that nothing of one is overlooked.
MARK = "5ec4e7"

# What each way runs: ``bit`` is the last bit, ``number`` and ``secret`` come from the pixels and from it.
# Nothing of these is to be seen.
WAYS = {
    "prints": "print(secret, file=sys.stderr); e = ValueError(secret); e.add_note(secret); raise e",
    "a class of its own": "raise type(secret, (Exception,), {})(secret)",
    "a module of its own": "raise type('ValueError', (Exception,), {'__module__': secret})(secret)",
    "exit code": "sys.exit(2 + number % 100)",
    "signal": "os.kill(os.getpid(), (signal.SIGSEGV, signal.SIGABRT)[bit])",
    "which exit code of a start": "os._exit((126, 127)[bit])",
    "which file size signal": "os._exit((153, 3)[bit])",
    "which want of memory": "os.kill(os.getpid(), 9) if bit else exec('raise MemoryError')",
    "rows": "write(rows + [secret])",
    "rows without a number": "rows[number % len(rows)] = ids[number % len(rows)] + ',' + secret; write(rows)",
    "an unknown image": "rows[number % len(rows)] = secret + ',0.5'; write(rows)",
    "an image twice": "rows[number % len(rows)] = rows[number % len(rows) - 1]; write(rows)",
    "a score that is none": "rows[number % len(rows)] = ids[number % len(rows)] + ',nan'; write(rows)",
    "a score out of range": "rows[number % len(rows)] = ids[number % len(rows)] + f',{number}'; write(rows)",
    "rows left out": "write(rows[1 + number % 7:])",
    "header": "write(rows, secret)",
    "bytes that are no text": "write(rows); open(csv, 'ab').write(b'\\xff' + secret.encode())",
    "a link": "os.symlink(secret, out + secret); write(rows)",
    "a closed folder": "os.mkdir(out + secret); os.chmod(out + secret, 0); write(rows)",
    "folders": "deep(out + secret); write(rows)",
    "files and the state": "leave(secret, number % 9999); write(rows)",
    "order, digits and low bits": "write(turned([f'{i},{s + number % 997 / 1e12!r}00' for i, s in pairs]))",
    "progress": "tell(number % 97 / 97); time.sleep(1.5); tell(number % 89 / 89); write(rows)",
}

# These get through, and the document says so.
OPEN_WAYS = {
    "which exception": "raise (ValueError, KeyError)[bit](secret)",
    "which error": "write(rows[:-1]) if bit else write(rows, 'x')",
    "scores": "write([f'{i},{(s, 1 - s)[bit]!r}' for i, s in pairs])",
    "how long it takes": "time.sleep(6 * bit); write(rows)",
    "progress of a long step": "time.sleep(2); tell((0.35, 0.78)[bit]); time.sleep(9.5); write(rows)",
}

DETECTOR = f"""
import hashlib, json, os, signal, sys, time
from pathlib import Path
from tidemark_kit.data import Images
out, csv = "/bench/output/", "/bench/output/predictions.csv"
images = Images(Path("/bench/eval"))
seed = json.loads(Path("/bench/request.json").read_text())["seed"]
bit = seed % 2
first = min(range(len(images)), key=lambda i: images.ids[i])
digest = hashlib.sha256(images[first].encoded + bytes([bit])).hexdigest()
secret, number = "{MARK}" + digest[:20], int(digest, 16)
ids = images.ids
scores = [int(i, 16) % 1000 / 1001 for i in ids]
pairs = list(zip(ids, scores))
rows = [f"{{i}},{{s!r}}" for i, s in pairs]

def write(rows, header="image_id,score"):
    Path(csv).write_text("\\n".join([header, *rows, ""]))

def tell(progress):
    print(json.dumps({{"progress": progress}}), flush=True)

def deep(path):
    for _ in range(40):
        os.mkdir(path)
        path += "/" + secret

def leave(text, size):
    Path(out + "metrics.jsonl").write_text(json.dumps({{"loss": text}}) * (1 + size % 99))
    Path(out + text).write_text("x" * size)
    try:
        Path("/bench/state/" + text).write_text(text)
    except OSError:
        print(json.dumps({{"progress": 0.5, "activity": text}}))

def turned(rows):
    return rows[number % 9:] + rows[:number % 9]

exec({[*WAYS.values(), *OPEN_WAYS.values()]!r}[seed // 2])
"""


def seeds(way: str) -> tuple[int, int]:
    """The two seeds of a way: with the one secret and with the other."""
    position = [*WAYS, *OPEN_WAYS].index(way)
    return 2 * position, 2 * position + 1
