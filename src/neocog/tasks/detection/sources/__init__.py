"""Data sources of images with boxes, one file each."""
