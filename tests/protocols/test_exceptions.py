"""The names of exceptions that may be told, and how they are found in what a program printed."""

from __future__ import annotations

import builtins
import subprocess
import sys

import pytest

from protocols.exceptions import EXCEPTIONS, OUT_OF_MEMORY, TRACEBACK, exception_name


def printed(program: str) -> str:
    """What this Python prints when ``program`` fails."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("raise ValueError", "ValueError"),
        ("raise ValueError('a: b\\nKeyError: c')", "ValueError"),
        ("import json; json.loads('{')", "json.decoder.JSONDecodeError"),
        ("import numpy as np; np.linalg.inv(np.zeros((2, 2)))", "numpy.linalg.LinAlgError"),
        ("import numpy as np; np.zeros(2**50)", "numpy._core._exceptions._ArrayMemoryError"),
        ("import io, PIL.Image; PIL.Image.open(io.BytesIO(b'x'))", "PIL.UnidentifiedImageError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("exec('x = = 1')", "SyntaxError"),
        # The last one counts: of a chain the one that nobody caught.
        ("try:\n  1 / 0\nexcept Exception as e:\n  raise KeyError('x') from e", "KeyError"),
        ("import atexit\natexit.register(print, 'bye')\nraise OSError(2, 'no')", "FileNotFoundError"),
        # A class of one's own, whatever its name.
        ("class Secret(Exception): pass\nraise Secret", None),
        ("import sys; sys.exit('ValueError: said, not raised')", None),
        ("raise ExceptionGroup('several', [ValueError(1)])", None),
    ],
)
def test_what_python_prints_is_recognised(program: str, name: str | None) -> None:
    assert exception_name(printed(program)) == name


@pytest.mark.parametrize(
    "output", ["", TRACEBACK, TRACEBACK + "\n", TRACEBACK + "\n  File", "ValueError", "\n" * 99]
)
def test_what_is_no_traceback_has_no_name(output: str) -> None:
    assert exception_name(output) is None


def test_the_exceptions_of_this_python_have_names() -> None:
    own = {
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning)
    }
    own -= {"EnvironmentError", "IOError", "ExceptionGroup"}
    # What a newer Python adds may be missing here; what an older one has may not.
    assert {name for name in own if name not in EXCEPTIONS} <= {"PythonFinalizationError"}
    assert OUT_OF_MEMORY <= EXCEPTIONS
