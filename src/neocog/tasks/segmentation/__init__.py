"""Semantic segmentation: a class for each pixel, decided in the graph, mean intersection over union."""

IGNORED = 255  # of a mask: a pixel that is neither learned nor judged
