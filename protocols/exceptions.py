"""The exceptions by whose names a failure is told.

While a container sees evaluation images, all that it says is kept from its submitter. The class of the
exception that ended it is worth the exception, but a class can have any name. So a name is shown if it is
one of these, and how many there are bounds what it can tell (``docs/decisions/0009``).
"""

from __future__ import annotations

# How Python begins to print an exception that nobody caught.
TRACEBACK = "Traceback (most recent call last):"

# What ends a program for want of memory, in the words of the library that gave up.
OUT_OF_MEMORY = frozenset(
    {
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError",
        "numpy.core._exceptions._ArrayMemoryError",
        "torch.OutOfMemoryError",
        "torch.cuda.OutOfMemoryError",
    }
)

_PYTHON = """
ArithmeticError AssertionError AttributeError BlockingIOError BrokenPipeError BufferError ChildProcessError
ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError EOFError Exception
FileExistsError FileNotFoundError FloatingPointError ImportError IndentationError IndexError InterruptedError
IsADirectoryError KeyError KeyboardInterrupt LookupError ModuleNotFoundError NameError NotADirectoryError
NotImplementedError OSError OverflowError PermissionError ProcessLookupError RecursionError ReferenceError
RuntimeError StopAsyncIteration StopIteration SyntaxError SystemError TabError TimeoutError TypeError
UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError ValueError
ZeroDivisionError
"""
_LIBRARIES = """
PIL.Image.DecompressionBombError PIL.UnidentifiedImageError _pickle.UnpicklingError cv2.error
json.decoder.JSONDecodeError numpy.exceptions.AxisError numpy.linalg.LinAlgError pyarrow.lib.ArrowInvalid
queue.Empty safetensors_rust.SafetensorError subprocess.CalledProcessError tidemark_kit.request.KitError
torch.AcceleratorError torch.cuda.CudaError
"""
EXCEPTIONS = frozenset((*_PYTHON.split(), *_LIBRARIES.split())) | OUT_OF_MEMORY


def exception_name(output: str) -> str | None:
    """The class of the exception that Python printed last, if it is one of ``EXCEPTIONS``, else ``None``."""
    _, header, rest = output.rpartition(TRACEBACK)
    if not header:
        return None
    # The frames are indented; the line after them begins with the class.
    ends = (line for line in rest.splitlines() if line and not line[0].isspace())
    name = next(ends, "").partition(":")[0].strip()
    return name if name in EXCEPTIONS else None
