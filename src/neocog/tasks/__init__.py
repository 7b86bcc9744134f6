"""What is learned, one folder each with the same file names inside: objective, metrics."""
