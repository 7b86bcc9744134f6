"""Measured, never asserted: each file prints the table that stands in docs/benchmarks.md."""
