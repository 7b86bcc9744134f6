"""Chapter "Hyper-parameter search"."""
