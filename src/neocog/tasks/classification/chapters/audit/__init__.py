"""Chapter "Label audit"."""
