"""Reads that cross tables. They return plain values or querysets and never write."""
