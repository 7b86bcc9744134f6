"""Evaluation of bundles through ONNX Runtime, for any task; no torch."""
