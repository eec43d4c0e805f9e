"""Fails."""

raise ValueError("the detector has a bug")
