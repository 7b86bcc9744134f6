"""Chapter "Calibration and groups"."""
