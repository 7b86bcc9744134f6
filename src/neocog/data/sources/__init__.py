"""Data sources, one file each, and what reading a folder of images takes."""
