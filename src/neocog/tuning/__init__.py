"""Hyper-parameter search: Ray Tune stays in this room."""
