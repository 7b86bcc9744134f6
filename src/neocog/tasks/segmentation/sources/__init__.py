"""Data sources of images with masks, one file each."""
