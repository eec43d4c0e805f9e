"""Writes nothing."""

pass
