"""Intervals and tests over plain arrays: how far could chance alone have moved a score? No torch, nothing of images."""
