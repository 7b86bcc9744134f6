"""Chapter "Compression"."""
