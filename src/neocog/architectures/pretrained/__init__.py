"""Weights that a network begins with: from a file, the bundle of another network, a package, or torchvision; with their SHA-256."""
