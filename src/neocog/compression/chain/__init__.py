"""Execution of recipes: the candidate that goes from step to step, its training, its widths, its bundle."""
