"""Each file one question, asked of bundles through ONNX Runtime; no torch here."""
