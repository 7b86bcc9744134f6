"""Chapter "Explanations"."""
