"""A simulated corpus: procedural photographs and sixteen simulated generator families.

It stands in for real images where none are at hand, and says so wherever it is named.
``docs/simulated-corpus.md`` tells what it can and what it can't show.
"""

from local.corpus.writer import make_corpus

__all__ = ["make_corpus"]
