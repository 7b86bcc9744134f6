"""Look into a network: activations, layer shapes, explanations, sensitivity to compression, the fastest way to train."""
