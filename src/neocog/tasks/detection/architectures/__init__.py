"""Detectors, one file each, over any backbone by name; outputs are those that `tasks/detection/decode.py` takes."""
