"""Data sources of images with several labels, one file each."""
