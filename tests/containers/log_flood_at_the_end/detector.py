"""Prints more than is granted in its last moment."""

print("x" * 300_000)
