"""Chapter "Robustness"."""
