"""Over which generators a checkpoint is scored: the periods of the protocol, and the headline.

With windows w0..w(K-1), after training on window k (0-based):

======  ==================  ================  =======================================
period  official mechanism  windows           undefined at
======  ==================  ================  =======================================
next    immediate_future    w(k+1)            the last window: nothing comes after it
past    growing             w0..wk
whole   growing_whole       w0..w(k+1)        (at the last window: w0..wk)
before  past                w0..w(k-1)        window 0
all     all                 w0..w(K-1)
======  ==================  ================  =======================================

The official code scores "next" of the last window on that window itself, which was
trained on. That value appears only under the name *paper-compatible*.

On a live server the open window counts as the last one: it is the last checkpoint's
"next". Source: Pellegrini et al., arXiv 2504.20865, and the official evaluation script.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType


class Period(StrEnum):
    NEXT = "next"
    PAST = "past"
    WHOLE = "whole"
    BEFORE = "before"
    ALL = "all"


# Beware: the official "past" is our "before"; the paper's Past is the official "growing".
MECHANISMS = MappingProxyType(
    {
        Period.NEXT: "immediate_future",
        Period.PAST: "growing",
        Period.WHOLE: "growing_whole",
        Period.BEFORE: "past",
        Period.ALL: "all",
    }
)


def window_range(period: Period, step: int, n_windows: int, *, paper_compatible: bool = False) -> range:
    """The windows that ``period`` covers after training on window ``step``; empty where undefined.

    ``paper_compatible`` lets "next" of the last window fall back to that window.

    Raises ``ValueError`` unless 0 ≤ ``step`` < ``n_windows``.
    """
    if not 0 <= step < n_windows:
        raise ValueError(f"step {step} is outside the timeline of {n_windows} windows")
    match period:
        case Period.NEXT:
            first = min(step + 1, n_windows - 1) if paper_compatible else step + 1
            return range(first, min(step + 2, n_windows))
        case Period.PAST:
            return range(step + 1)
        case Period.WHOLE:
            return range(min(step + 2, n_windows))
        case Period.BEFORE:
            return range(step)
        case Period.ALL:
            return range(n_windows)


def generators_at(
    period: Period, step: int, windows: Sequence[Sequence[str]], *, paper_compatible: bool = False
) -> list[str]:
    """The generators that ``period`` covers after training on window ``step``, in release order."""
    covered = window_range(period, step, len(windows), paper_compatible=paper_compatible)
    return [generator for window in covered for generator in windows[window]]


def averaged_steps(period: Period, n_windows: int, *, paper_compatible: bool = False) -> list[int]:
    """The steps over which ``period`` is averaged in time.

    The headline averages the K-1 steps that have a next window, whatever the period, so
    that the periods compare; the paper-compatible mean takes all K. A step at which the
    period covers no window is in neither.
    """
    steps = range(n_windows if paper_compatible else n_windows - 1)
    return [
        step
        for step in steps
        if len(window_range(period, step, n_windows, paper_compatible=paper_compatible)) > 0
    ]
