"""Several true labels an image: sigmoid outputs, binary cross-entropy, mean average precision, a threshold for each label."""
