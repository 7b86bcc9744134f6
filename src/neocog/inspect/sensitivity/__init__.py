"""Sensitivity of layers to compression: each is narrowed, or rounded, alone, and the score that is left is measured."""
