"""Data: sources, quality checks, splits, the prepared data set, its loader and augmentation."""
