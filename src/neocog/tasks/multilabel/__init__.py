"""Multi-label classification (several true labels an image): sigmoid, binary cross-entropy, mean average precision, label thresholds."""
