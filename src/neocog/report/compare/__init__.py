"""Chapter "Pairwise comparison"."""
